import { existsSync } from "node:fs";
import { Command } from "commander";
import { checkCommand } from "./commands/check.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { statsCommand } from "./commands/stats.ts";
import type { CommandContext } from "./context.ts";
import { exitCodes, exitCodesHelp, type ExitCode } from "./exit-codes.ts";
import { reportFailure } from "./failures.ts";
import { watchForInterruption } from "./interruption.ts";
import { version } from "./version.ts";

/** Reads the arguments, does what they say, and returns the exit code. */
export async function runCommandLine(args: readonly string[]): Promise<ExitCode> {
  const signal = watchForInterruption();
  try {
    // What the environment says already is stronger than the file.
    if (existsSync(".env")) process.loadEnvFile(".env");
    let exitCode: ExitCode = exitCodes.fine;
    const program = createProgram({
      signal,
      env: process.env,
      foundSomething: () => (exitCode = exitCodes.failure),
    });
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    return reportFailure(error, args.includes("--json"));
  }
}

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
GORKFLOW_AUTH_TOKEN. NO_COLOR is honoured.
${exitCodesHelp}`,
    );
  for (const create of [migrateCommand, checkCommand, doctorCommand, statsCommand]) {
    program.addCommand(create(context));
  }
  throwInsteadOfExiting(program);
  return program;
}

/** Commands that were made elsewhere do not inherit it. */
function throwInsteadOfExiting(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) throwInsteadOfExiting(child);
}
