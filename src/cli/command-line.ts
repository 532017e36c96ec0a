import { statSync } from "node:fs";
import { Command, type Option } from "commander";
import { withoutForeignTokens } from "../environment.ts";
import type { CommandContext } from "./context.ts";
import { CommandError } from "./errors.ts";
import { exitCodes, exitCodesHelp, type ExitCode } from "./exit-codes.ts";
import { reportFailure } from "./failures.ts";
import { watchForInterruption } from "./interruption.ts";
import { escaped } from "./output/output.ts";
import { repeatableOptions } from "./run-filters.ts";
import { version } from "./version.ts";

/** Reads the arguments, does what they say, and returns the exit code. */
export async function runCommandLine(args: readonly string[]): Promise<ExitCode> {
  const json = args.includes("--json");
  const interruption = watchForInterruption((failure) => {
    reportFailure(new CommandError(failure), { json, goOn: failure.remedy });
    process.on("exit", () => (process.exitCode ||= failure.exitCode));
  });
  const { signal } = interruption;
  let goOn = "run the same command again to go on";
  try {
    // What the environment says already is stronger than the file.
    const inherited = new Set(Object.keys(process.env));
    // A virtual environment of Python may have that name, and is a folder.
    const isFolder = statSync(".env", { throwIfNoEntry: false })?.isDirectory();
    if (isFolder === false) process.loadEnvFile(".env");
    let exitCode: ExitCode = exitCodes.fine;
    const program = await createProgram(
      {
        ...interruption,
        // Anybody may have written the file: it must not lead a token of the shell to a server of its own.
        env: withoutForeignTokens(process.env, (name) => inherited.has(name)),
        foundSomething: () => (exitCode = exitCodes.failure),
        onInterruption: (remedy) => (goOn = remedy),
      },
      args,
    );
    await Promise.race([program.parseAsync([...args], { from: "user" }), endOfPatience(signal)]);
    return exitCode;
  } catch (error) {
    // A connection that hangs would keep the process for as long as a server may take to answer.
    if (signal.aborted) setTimeout(() => process.exit(), lingeringMs).unref();
    // What is interrupted may say so with an error of its own.
    const isAborted = error instanceof Error && error.name === "AbortError";
    const cause: unknown = isAborted && signal.aborted ? signal.reason : error;
    return reportFailure(cause, { json, goOn });
  }
}

/** How long an interrupted command may go on, to end the batch that it is at. */
const patienceMs = 2000;
/** How long what has ended may keep the process, to send what it has printed. */
const lingeringMs = 250;

/** Fails when the signal was given and the command has not ended by itself: it waits for a server, or a lock. */
function endOfPatience(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      setTimeout(() => reject(signal.reason as Error), patienceMs).unref();
    });
  });
}

interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Loads the command, with the store and whatever else it needs. */
  load(): Promise<(context: CommandContext) => Command>;
}

// Completion takes an option from the first command that has one of its name: --status of runs list has values, that of
// migrate has none.
const commands: readonly CommandEntry[] = [
  {
    name: "runs",
    summary: "list, show, watch, cancel and retry runs",
    load: async () => (await import("./commands/runs.ts")).runsCommand,
  },
  {
    name: "report",
    summary: "answer what everybody asks of their runs",
    load: async () => (await import("./commands/report.ts")).reportCommand,
  },
  {
    name: "stats",
    summary: "how much there is: rows of each table, runs by status, size and free space",
    load: async () => (await import("./commands/stats.ts")).statsCommand,
  },
  {
    name: "prune",
    summary: "delete old runs with all that belongs to them, in small batches",
    load: async () => (await import("./commands/prune.ts")).pruneCommand,
  },
  {
    name: "export",
    summary: "write runs, with their steps, outputs and state, to a file of JSON lines",
    load: async () => (await import("./commands/export.ts")).exportCommand,
  },
  {
    name: "import",
    summary: "store the runs of an export",
    load: async () => (await import("./commands/import.ts")).importCommand,
  },
  {
    name: "copy",
    summary: "copy runs from one database to another, of whatever kind",
    load: async () => (await import("./commands/copy.ts")).copyCommand,
  },
  {
    name: "compare",
    summary: "say in what two databases differ, run by run; exit code 1 when they do",
    load: async () => (await import("./commands/compare.ts")).compareCommand,
  },
  {
    name: "migrate",
    summary: "bring a database to this version's schema; safe when many processes do it at once",
    load: async () => (await import("./commands/migrate.ts")).migrateCommand,
  },
  {
    name: "doctor",
    summary: "compare a live database with the schema; exit code 1 when something is wrong",
    load: async () => (await import("./commands/doctor.ts")).doctorCommand,
  },
  {
    name: "check",
    summary: "find drift between the schema and the migrations of any Drizzle project on SQLite",
    load: async () => (await import("./commands/check.ts")).checkCommand,
  },
  {
    name: "demo",
    summary: "run a small workflow some hundred times, to have something to look at",
    load: async () => (await import("./commands/demo.ts")).demoCommand,
  },
];

/** The program with the command that `args` name; the others are only listed. Completion and `help` need them all. */
async function createProgram(context: CommandContext, args: readonly string[]): Promise<Command> {
  const program = new Command("gorkflow")
    .description("Operate the workflow runs of a libSQL file, a libSQL server or Turso.")
    .version(version)
    .addHelpText(
      "after",
      `
Examples:
  gorkflow migrate --database file:./workflows.db   make the tables, or bring them up to date
  gorkflow doctor                                   of the database in GORKFLOW_DATABASE_URL
  gorkflow check                                    in a Drizzle project: fail when migrations have drifted

The database is --database, or GORKFLOW_DATABASE_URL, which may stand in a file .env. GORKFLOW_AUTH_TOKEN is the
token of the server in GORKFLOW_DATABASE_URL, and is sent to no other one: set both in the same place. NO_COLOR is honoured. \`gorkflow complete bash\` (or zsh, fish, powershell) prints a completion script.
${exitCodesHelp}`,
    );
  const named = args.find((arg) => !arg.startsWith("-"));
  const needsAll = named === "complete" || named === "help";
  for (const { name, summary, load } of commands) {
    const isNeeded = needsAll || name === named;
    const command = isNeeded ? (await load())(context) : new Command(name);
    program.addCommand(command.description(summary));
  }
  if (needsAll) (await import("./completion.ts")).addCompletion(program);
  else program.command("complete").description("print a completion script for a shell");
  explainErrors(program, ["gorkflow"], args.includes("--json"));
  return program;
}

/**
 * A command that is not understood says how to ask, as JSON if that is what it was asked for; commands that were made
 * elsewhere do not inherit it.
 */
function explainErrors(command: Command, path: readonly string[], json: boolean): void {
  command.exitOverride();
  command.showHelpAfterError(`(${path.join(" ")} --help shows how it is used)`);
  command.configureOutput({
    outputError: (text, write) => write(text.split("\n").map(escaped).join("\n")),
    ...(json && { writeErr: () => {} }),
  });
  for (const option of command.options) refuseTwice(command, option);
  for (const child of command.commands) explainErrors(child, [...path, child.name()], json);
}

/** The last of two databases would win, and the second may be an id that looks like an option. */
function refuseTwice(command: Command, option: Option): void {
  if (option.isBoolean() || option.variadic || repeatableOptions.includes(option.name())) return;
  let isGiven = false;
  command.on(`option:${option.name()}`, () => {
    if (isGiven) command.error(`error: option '${option.flags}' is given twice`);
    isGiven = true;
  });
}
