import { CommanderError } from "commander";
import {
  GorkflowError,
  InvalidArgumentError,
  StoreConnectionError,
  StoreFullError,
} from "../errors.ts";
import { CommandError, InterruptedError, OutputClosedError, OutputFailedError } from "./errors.ts";
import { exitCodes, type ExitCode } from "./exit-codes.ts";
import { escaped, note, noteColors } from "./output/output.ts";

/** How a command that did not succeed ends. */
interface Ending {
  readonly exitCode: ExitCode;
  /** Null if nothing is printed. */
  readonly problem: Problem | null;
}

interface Problem {
  readonly code: string;
  readonly message: string;
  readonly remedy: string | null;
}

/** Prints in one line what went wrong and what to do. Returns the exit code. */
export function reportFailure(
  error: unknown,
  { json, goOn }: { readonly json: boolean; readonly goOn: string },
): ExitCode {
  const { exitCode, problem } = endingOf(error, { json, goOn });
  if (problem !== null && json) note(JSON.stringify({ error: problem }));
  else if (problem !== null) {
    const remedy = problem.remedy === null ? "" : ` (${problem.remedy})`;
    note(`${noteColors.red("gorkflow:")} ${escaped(onOneLine(problem.message + remedy))}`);
  }
  return exitCode;
}

function endingOf(
  error: unknown,
  { json, goOn }: { readonly json: boolean; readonly goOn: string },
): Ending {
  if (error instanceof OutputClosedError) return { exitCode: exitCodes.fine, problem: null };
  if (error instanceof InterruptedError) {
    const message = "interrupted; finished work stays done";
    return { exitCode: error.exitCode, problem: { code: "INTERRUPTED", message, remedy: goOn } };
  }
  // It was reported at once.
  if (error instanceof OutputFailedError) return { exitCode: error.exitCode, problem: null };
  if (error instanceof CommandError) {
    const { exitCode, code, message, remedy } = error;
    return { exitCode, problem: { code, message, remedy } };
  }
  if (error instanceof CommanderError) {
    // Help and the version have been printed.
    if (error.exitCode === 0) return { exitCode: exitCodes.fine, problem: null };
    return { exitCode: exitCodes.usage, problem: json ? usageProblem(error) : null };
  }
  if (error instanceof InvalidArgumentError) {
    return { exitCode: exitCodes.usage, problem: problemOf(error, goOn) };
  }
  if (error instanceof GorkflowError) {
    return { exitCode: exitCodes.failure, problem: problemOf(error, goOn) };
  }
  // A defect, or an error of the system. Its message may contain data that must not be logged.
  const name = error instanceof Error ? error.name : typeof error;
  const code = error instanceof Error && "code" in error ? String(error.code) : name;
  return {
    exitCode: exitCodes.failure,
    problem: { code: "UNEXPECTED", message: `unexpected failure: ${code}`, remedy: null },
  };
}

/** Only for JSON: commander prints the text itself. */
function usageProblem({ code, message }: CommanderError): Problem {
  return {
    code: "USAGE",
    message: code === "commander.help" ? "no command was given" : message.replace(/^error: /, ""),
    remedy: "gorkflow --help shows the usage",
  };
}

function problemOf(error: GorkflowError, goOn: string): Problem {
  return { code: error.code, message: error.message, remedy: remedyFor(error, goOn) };
}

/** What to do, if the message does not say it. */
function remedyFor(error: GorkflowError, goOn: string): string | null {
  if (error instanceof StoreFullError) return `free some space; ${goOn}`;
  if (error instanceof StoreConnectionError) {
    if (error.message.includes("auth token")) {
      return "set GORKFLOW_AUTH_TOKEN to a valid token, in the same place as GORKFLOW_DATABASE_URL";
    }
    if (error.message.includes("read or written"))
      return `check for a full disk, a quota or a limit; ${goOn}`;
    if (error.message.includes("server")) return "check the URL, and that the server is running";
    return null;
  }
  return remedies[error.code] ?? null;
}

const remedies: Readonly<Record<string, string>> = {
  STORE_BUSY: "try again, or wait longer with GORKFLOW_BUSY_TIMEOUT_MS",
  SCHEMA_TOO_NEW: "use the version of gorkflow that migrated it, or a later version",
  RUN_NOT_FOUND: "gorkflow runs list shows the runs",
  RUN_ALREADY_EXISTS: "use import --on-conflict skip or replace, or copy --resume",
  UNREADABLE_RUNS: "all other runs are done; restore these from a backup, or delete them",
  REFUSED_RUNS:
    "all other runs are done; remove what refuses these, then repeat with --resume or --on-conflict skip",
  INVALID_EXPORT: "nothing from this line on was stored; export again, or repair the file",
};

function onOneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, "; ");
}
