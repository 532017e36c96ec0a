import { readFileSync, statSync } from "node:fs";
import { Command, type Option } from "commander";
import type { Environment } from "../environment.ts";
import type { CommandContext } from "./context.ts";
import { CommandError } from "./errors.ts";
import { exitCodes, exitCodesHelp, type ExitCode } from "./exit-codes.ts";
import { reportFailure } from "./failures.ts";
import { exitSoon, watchForInterruption } from "./interruption.ts";
import { escaped, isOutputReserved } from "./output/output.ts";
import { repeatableOptions } from "./options.ts";

/** Runs the command that the arguments name, and returns the exit code. */
export async function runCommandLine(args: readonly string[]): Promise<ExitCode> {
  const json = asksForJson(args);
  const interruption = watchForInterruption((failure) => {
    reportFailure(new CommandError(failure), { json, goOn: failure.remedy });
    process.on("exit", () => (process.exitCode ||= failure.exitCode));
  });
  const { signal } = interruption;
  let goOn = "run the same command again to continue";
  try {
    // Variables that are already set take precedence over the file.
    const inherited = new Set(Object.keys(process.env));
    const isNamed = namedCommand(args) !== undefined;
    if (isNamed) loadVariables();
    let exitCode: ExitCode = exitCodes.fine;
    const program = await createProgram(
      {
        ...interruption,
        env: isNamed ? await environmentOf(inherited) : {},
        foundSomething: () => (exitCode = exitCodes.failure),
        onInterruption: (remedy) => (goOn = remedy),
      },
      args,
    );
    await Promise.race([program.parseAsync([...args], { from: "user" }), endOfPatience(signal)]);
    return exitCode;
  } catch (error) {
    // Do not wait for a connection to a server that does not answer.
    if (signal.aborted) exitSoon();
    // An operation may report the interruption with its own error.
    const isAborted = error instanceof Error && error.name === "AbortError";
    const cause: unknown = isAborted && signal.aborted ? signal.reason : error;
    return reportFailure(cause, { json, goOn });
  } finally {
    // What a module of the project has opened, such as a connection pool, would keep the process alive.
    if (isOutputReserved()) exitSoon();
  }
}

function asksForJson(args: readonly string[]): boolean {
  return args.includes("--json") || /\B--format[= ]json\b/.test(args.join(" "));
}

/** Sets the variables of a file `.env` that are not set. @throws {CommandError} if it cannot be read. */
function loadVariables(): void {
  try {
    // A Python virtual environment is a folder that may have this name.
    const isFolder = statSync(".env", { throwIfNoEntry: false })?.isDirectory();
    if (isFolder === false) process.loadEnvFile(".env");
  } catch (cause) {
    const message = "the file .env in this folder cannot be read";
    const remedy = "make it readable, or run the command in another folder";
    throw new CommandError({ code: "ENV_FILE_UNREADABLE", message, remedy }, { cause });
  }
}

/** The command that the arguments name. */
function namedCommand(args: readonly string[]): string | undefined {
  return args.find((arg) => !arg.startsWith("-"));
}

/** The variables for a command. Loading the options of a store would double the time of `--version` and `--help`. */
async function environmentOf(inherited: ReadonlySet<string>): Promise<Environment> {
  const { withoutForeignTokens } = await import("../environment.ts");
  // A `.env` file from somebody else must not send the shell's token to another server.
  return withoutForeignTokens(process.env, (name) => inherited.has(name));
}

/** How long an interrupted command may take to finish its current batch. */
const patienceMs = 2000;

/** Rejects if the command has not ended soon after the signal, because it waits for a server or a lock. */
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
  /** Loads the command with the modules that it needs. */
  load(): Promise<(context: CommandContext) => Command>;
}

// Completion uses the first option of a name. So `runs`, whose --status has values, comes before `migrate`.
const commands: readonly CommandEntry[] = [
  {
    name: "runs",
    summary: "list, show, explain, watch, cancel, retry and delete runs",
    load: async () => (await import("./commands/runs.ts")).runsCommand,
  },
  {
    name: "report",
    summary: "print a report: throughput, durations, errors, stuck runs, …",
    load: async () => (await import("./commands/report.ts")).reportCommand,
  },
  {
    name: "studio",
    summary: "serve a page to see and change runs in a browser",
    load: async () => (await import("./commands/studio.ts")).studioCommand,
  },
  {
    name: "workflows",
    summary: "list the workflows that wait for workers, and pause or resume them",
    load: async () => (await import("./commands/workflows.ts")).workflowsCommand,
  },
  {
    name: "workers",
    summary: "list the workers that hold runs, and whether their leases have expired",
    load: async () => (await import("./commands/workers.ts")).workersCommand,
  },
  {
    name: "stats",
    summary: "show the rows of each table, runs by status, size and free space",
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
    summary: "copy runs from one database to another of any kind",
    load: async () => (await import("./commands/copy.ts")).copyCommand,
  },
  {
    name: "compare",
    summary: "compare two databases run by run; exit code 1 if they differ",
    load: async () => (await import("./commands/compare.ts")).compareCommand,
  },
  {
    name: "migrate",
    summary: "migrate a database to this version's schema; several processes may do it at once",
    load: async () => (await import("./commands/migrate.ts")).migrateCommand,
  },
  {
    name: "doctor",
    summary: "compare a database with the schema; exit code 1 if something is wrong",
    load: async () => (await import("./commands/doctor.ts")).doctorCommand,
  },
  {
    name: "init",
    summary: "add the workflow tables to a Drizzle project",
    load: async () => (await import("./commands/init.ts")).initCommand,
  },
  {
    name: "check",
    summary: "find drift between the schema and the migrations of any Drizzle project on SQLite",
    load: async () => (await import("./commands/check.ts")).checkCommand,
  },
  {
    name: "demo",
    summary: "run a small workflow many times, to have runs to look at",
    load: async () => (await import("./commands/demo.ts")).demoCommand,
  },
];

const { version } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as { readonly version: string };

/** The program. Only the command that `args` name is loaded, except for completion and `help`, which need all. */
async function createProgram(context: CommandContext, args: readonly string[]): Promise<Command> {
  const program = new Command("gorkflow")
    .description("Operate the workflow runs of a libSQL file, a libSQL server or Turso.")
    .version(version)
    .addHelpText(
      "after",
      `
Examples:
  gorkflow migrate --database file:./workflows.db   create the tables or migrate them
  gorkflow doctor                                   check the database in GORKFLOW_DATABASE_URL
  gorkflow check                                    in a Drizzle project: fail if migrations have drifted

Name the database with --database or GORKFLOW_DATABASE_URL, which can be set in a file .env. GORKFLOW_AUTH_TOKEN is the
token of the server in GORKFLOW_DATABASE_URL and is sent to no other server: set both in the same place. An argument
that begins with - is an option; write -- before ids that begin with -. NO_COLOR turns colors off.
\`gorkflow complete bash\` (or zsh, fish, powershell) prints a completion script.
${exitCodesHelp}`,
    );
  const named = namedCommand(args);
  const needsAll = named === "complete" || named === "help";
  for (const { name, summary, load } of commands) {
    const isNeeded = needsAll || name === named;
    const command = isNeeded ? (await load())(context) : new Command(name);
    program.addCommand(command.description(summary));
  }
  if (needsAll) (await import("./completion.ts")).addCompletion(program);
  else program.command("complete").description("print a completion script for a shell");
  explainErrors(program, ["gorkflow"], args);
  return program;
}

/**
 * Makes the usage errors of a command say how to get help, as JSON with `--json`. Subcommands do not inherit these
 * settings.
 */
function explainErrors(command: Command, path: readonly string[], args: readonly string[]): void {
  command.exitOverride();
  command.showHelpAfterError(`(${path.join(" ")} --help shows the usage)`);
  command.configureOutput({
    outputError: (text, write) => write(text.split("\n").map(escaped).join("\n")),
    ...(asksForJson(args) && { writeErr: () => {} }),
  });
  for (const option of command.options) checkValue(command, option, args);
  for (const child of command.commands) explainErrors(child, [...path, child.name()], args);
}

/**
 * Refuses a second value of an option: the last of two databases would win, and it may be an id that looks like an option.
 * Refuses an option as a value: with an empty variable, `--database $URL --status` would migrate a file `--status`.
 */
function checkValue(command: Command, option: Option, args: readonly string[]): void {
  if (option.isBoolean() || option.variadic || repeatableOptions.includes(option.name())) return;
  let isGiven = false;
  command.on(`option:${option.name()}`, (value: unknown) => {
    if (isGiven) command.error(`error: option '${option.flags}' was given twice`);
    isGiven = true;
    if (typeof value !== "string" || !value.startsWith("--") || !args.includes(value)) return;
    command.error(
      `error: option '${option.flags}' argument missing: write ${option.long}=${value} for a value that begins with --`,
    );
  });
}
