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

/** Runs the command of the arguments and returns its exit code. */
export async function runCommandLine(args: readonly string[]): Promise<ExitCode> {
  const json = args.includes("--json");
  const interruption = watchForInterruption((failure) => {
    reportFailure(new CommandError(failure), { json, goOn: failure.remedy });
    process.on("exit", () => (process.exitCode ||= failure.exitCode));
  });
  const { signal } = interruption;
  let goOn = "run the same command again to continue";
  try {
    // Variables of the environment override those of the file.
    const inherited = new Set(Object.keys(process.env));
    // `.env` may also be a folder: a virtual environment of Python.
    const isFolder = statSync(".env", { throwIfNoEntry: false })?.isDirectory();
    if (isFolder === false) process.loadEnvFile(".env");
    let exitCode: ExitCode = exitCodes.fine;
    const program = await createProgram(
      {
        ...interruption,
        // The file must not send a token of the shell to another server.
        env: withoutForeignTokens(process.env, (name) => inherited.has(name)),
        foundSomething: () => (exitCode = exitCodes.failure),
        onInterruption: (remedy) => (goOn = remedy),
      },
      args,
    );
    await Promise.race([program.parseAsync([...args], { from: "user" }), endOfPatience(signal)]);
    return exitCode;
  } catch (error) {
    // An open connection would keep the process alive until the server responds.
    if (signal.aborted) setTimeout(() => process.exit(), lingeringMs).unref();
    // An interrupted operation may throw its own error.
    const isAborted = error instanceof Error && error.name === "AbortError";
    const cause: unknown = isAborted && signal.aborted ? signal.reason : error;
    return reportFailure(cause, { json, goOn });
  }
}

/** The time that an interrupted command has to finish its current batch. */
const patienceMs = 2000;
/** The time that a finished command has to flush its output. */
const lingeringMs = 250;

/** Rejects if the command does not end after the signal, because it waits for a server or a lock. */
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
  /** Imports the command with its dependencies. */
  load(): Promise<(context: CommandContext) => Command>;
}

// Completion uses the first command that has an option of a given name. --status of runs list has values, and that of
// migrate has none, so the order matters.
const commands: readonly CommandEntry[] = [
  {
    name: "runs",
    summary: "list, show, watch, cancel and retry runs",
    load: async () => (await import("./commands/runs.ts")).runsCommand,
  },
  {
    name: "report",
    summary: "print a report about runs",
    load: async () => (await import("./commands/report.ts")).reportCommand,
  },
  {
    name: "stats",
    summary: "count rows and runs by status, and measure size and free space",
    load: async () => (await import("./commands/stats.ts")).statsCommand,
  },
  {
    name: "prune",
    summary: "delete old runs with their steps, outputs and state, in small batches",
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
    summary: "copy runs from one database to another, on any backend",
    load: async () => (await import("./commands/copy.ts")).copyCommand,
  },
  {
    name: "compare",
    summary: "compare two databases run by run; exit code 1 if they differ",
    load: async () => (await import("./commands/compare.ts")).compareCommand,
  },
  {
    name: "migrate",
    summary: "migrate a database to the schema of this version; safe in many processes at once",
    load: async () => (await import("./commands/migrate.ts")).migrateCommand,
  },
  {
    name: "doctor",
    summary: "compare a live database with the schema; exit code 1 if something is wrong",
    load: async () => (await import("./commands/doctor.ts")).doctorCommand,
  },
  {
    name: "check",
    summary: "find drift between the schema and the migrations of any Drizzle project on SQLite",
    load: async () => (await import("./commands/check.ts")).checkCommand,
  },
  {
    name: "demo",
    summary: "run an example workflow a few hundred times",
    load: async () => (await import("./commands/demo.ts")).demoCommand,
  },
];

/** The program with the command of `args`; others are only listed. Completion and `help` load all commands. */
async function createProgram(context: CommandContext, args: readonly string[]): Promise<Command> {
  const program = new Command("gorkflow")
    .description("Operate the workflow runs of a libSQL file, a libSQL server or Turso.")
    .version(version)
    .addHelpText(
      "after",
      `
Examples:
  gorkflow migrate --database file:./workflows.db   create or migrate the tables
  gorkflow doctor                                   check the database in GORKFLOW_DATABASE_URL
  gorkflow check                                    in a Drizzle project: fail if migrations have drifted

The database is --database or GORKFLOW_DATABASE_URL, which may be in a .env file. GORKFLOW_AUTH_TOKEN is the
token of the server in GORKFLOW_DATABASE_URL, and is sent to no other server. Set both in the same place. NO_COLOR disables colours. \`gorkflow complete bash\` (or zsh, fish, powershell) prints a completion script.
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
 * Invalid usage prints a hint, as JSON with `--json`. Subcommands do not inherit this setting.
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

/** Commander would use the last value, which may be an id that looks like an option. */
function refuseTwice(command: Command, option: Option): void {
  if (option.isBoolean() || option.variadic || repeatableOptions.includes(option.name())) return;
  let isGiven = false;
  command.on(`option:${option.name()}`, () => {
    if (isGiven) command.error(`error: option '${option.flags}' is given twice`);
    isGiven = true;
  });
}
