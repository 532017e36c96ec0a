import { existsSync } from "node:fs";
import tab from "@bomb.sh/tab/commander";
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
import type { CommandContext } from "./context.ts";
import { exitCodes, exitCodesHelp, type ExitCode } from "./exit-codes.ts";
import { reportFailure } from "./failures.ts";
import { watchForInterruption } from "./interruption.ts";
import { version } from "./version.ts";

/** Reads the arguments, does what they say, and returns the exit code. */
export async function runCommandLine(args: readonly string[]): Promise<ExitCode> {
  const signal = watchForInterruption();
  let goOn = "run the same command again to go on";
  try {
    // What the environment says already is stronger than the file.
    if (existsSync(".env")) process.loadEnvFile(".env");
    let exitCode: ExitCode = exitCodes.fine;
    const program = createProgram({
      signal,
      env: process.env,
      foundSomething: () => (exitCode = exitCodes.failure),
      onInterruption: (remedy) => (goOn = remedy),
    });
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    // What is interrupted may say so with an error of its own.
    const isAborted = error instanceof Error && error.name === "AbortError";
    const cause: unknown = isAborted && signal.aborted ? signal.reason : error;
    return reportFailure(cause, { json: args.includes("--json"), goOn });
  }
}

const commands = [
  migrateCommand,
  checkCommand,
  doctorCommand,
  runsCommand,
  reportCommand,
  statsCommand,
  pruneCommand,
  exportCommand,
  importCommand,
  copyCommand,
  compareCommand,
  demoCommand,
];

function createProgram(context: CommandContext): Command {
  const program = new Command("gorkflow")
    .description("Operate the workflow runs of a libSQL file, a libSQL server or Turso.")
    .version(version)
    .showHelpAfterError("(gorkflow help <command> shows how it is used)")
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
  // `gorkflow complete <shell>` prints what a shell needs to complete commands and options.
  tab(program);
  throwInsteadOfExiting(program);
  return program;
}

/** Commands that were made elsewhere do not inherit it. */
function throwInsteadOfExiting(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) throwInsteadOfExiting(child);
}
