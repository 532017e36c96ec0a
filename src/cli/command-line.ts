import { existsSync } from "node:fs";
import { Command } from "commander";
import { checkCommand } from "./commands/check.ts";
import { compareCommand } from "./commands/compare.ts";
import { copyCommand } from "./commands/copy.ts";
import { demoCommand } from "./commands/demo.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { exportCommand } from "./commands/export.ts";
import { importCommand } from "./commands/import.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { pruneCommand } from "./commands/prune.ts";
import { reportCommand } from "./commands/report.ts";
import { runsCommand } from "./commands/runs.ts";
import { statsCommand } from "./commands/stats.ts";
import { addCompletion } from "./completion.ts";
import type { CommandContext } from "./context.ts";
import { exitCodes, exitCodesHelp, type ExitCode } from "./exit-codes.ts";
import { reportFailure } from "./failures.ts";
import { watchForInterruption } from "./interruption.ts";
import { version } from "./version.ts";

/** Reads the arguments, does what they say, and returns the exit code. */
export async function runCommandLine(args: readonly string[]): Promise<ExitCode> {
  const { signal, endAtOnce } = watchForInterruption();
  let goOn = "run the same command again to go on";
  try {
    // What the environment says already is stronger than the file.
    if (existsSync(".env")) process.loadEnvFile(".env");
    let exitCode: ExitCode = exitCodes.fine;
    const program = createProgram({
      signal,
      endAtOnce,
      env: process.env,
      foundSomething: () => (exitCode = exitCodes.failure),
      onInterruption: (remedy) => (goOn = remedy),
    });
    await Promise.race([program.parseAsync([...args], { from: "user" }), endOfPatience(signal)]);
    return exitCode;
  } catch (error) {
    // A connection that hangs would keep the process for as long as a server may take to answer.
    if (signal.aborted) setTimeout(() => process.exit(), lingeringMs).unref();
    // What is interrupted may say so with an error of its own.
    const isAborted = error instanceof Error && error.name === "AbortError";
    const cause: unknown = isAborted && signal.aborted ? signal.reason : error;
    return reportFailure(cause, { json: args.includes("--json"), goOn });
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

// Completion takes an option from the first command that has one of its name: --status of runs list has values, that of
// migrate has none.
const commands = [
  runsCommand,
  reportCommand,
  statsCommand,
  pruneCommand,
  exportCommand,
  importCommand,
  copyCommand,
  compareCommand,
  migrateCommand,
  doctorCommand,
  checkCommand,
  demoCommand,
];

function createProgram(context: CommandContext): Command {
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

The database is --database, or GORKFLOW_DATABASE_URL, which may stand in a file .env; its token is
GORKFLOW_AUTH_TOKEN. NO_COLOR is honoured. \`gorkflow complete bash\` (or zsh, fish, powershell) prints a completion script.
${exitCodesHelp}`,
    );
  for (const create of commands) {
    program.addCommand(create(context));
  }
  addCompletion(program);
  explainErrors(program, ["gorkflow"]);
  return program;
}

/** A command that is not understood says how to ask; commands that were made elsewhere do not inherit it. */
function explainErrors(command: Command, path: readonly string[]): void {
  command.exitOverride();
  command.showHelpAfterError(`(${path.join(" ")} --help shows how it is used)`);
  for (const child of command.commands) explainErrors(child, [...path, child.name()]);
}
