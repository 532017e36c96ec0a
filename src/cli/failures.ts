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

/** The outcome of a failed command: its message and exit code. */
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

/** Prints the problem and its remedy in one line, and returns the exit code. */
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
    const message = "interrupted; what was done until then stays done";
    return { exitCode: error.exitCode, problem: { code: "INTERRUPTED", message, remedy: goOn } };
  }
  // It is already reported.
  if (error instanceof OutputFailedError) return { exitCode: error.exitCode, problem: null };
  if (error instanceof CommandError) {
    const { exitCode, code, message, remedy } = error;
    return { exitCode, problem: { code, message, remedy } };
  }
  if (error instanceof CommanderError) {
    // Help or the version is already printed.
    if (error.exitCode === 0) return { exitCode: exitCodes.fine, problem: null };
    return { exitCode: exitCodes.usage, problem: json ? usageProblem(error) : null };
  }
  if (error instanceof InvalidArgumentError) {
    return { exitCode: exitCodes.usage, problem: problemOf(error, goOn) };
  }
  if (error instanceof GorkflowError) {
    return { exitCode: exitCodes.failure, problem: problemOf(error, goOn) };
  }
  // The message of an unexpected error may contain private data.
  const name = error instanceof Error ? error.name : typeof error;
  const code = error instanceof Error && "code" in error ? String(error.code) : name;
  return {
    exitCode: exitCodes.failure,
    problem: { code: "UNEXPECTED", message: `unexpected failure: ${code}`, remedy: null },
  };
}

/** Commander has already printed the message, unless `--json` is given. */
function usageProblem({ code, message }: CommanderError): Problem {
  return {
    code: "USAGE",
    message: code === "commander.help" ? "no command is named" : message.replace(/^error: /, ""),
    remedy: "gorkflow --help shows how it is used",
  };
}

function problemOf(error: GorkflowError, goOn: string): Problem {
  return { code: error.code, message: error.message, remedy: remedyFor(error, goOn) };
}

/** The remedy, if the message does not contain one. */
function remedyFor(error: GorkflowError, goOn: string): string | null {
  if (error instanceof StoreFullError) return `free some space; ${goOn}`;
  if (error instanceof StoreConnectionError) {
    if (error.message.includes("auth token")) {
      return "set GORKFLOW_AUTH_TOKEN to a valid token, in the same place as GORKFLOW_DATABASE_URL";
    }
    if (error.message.includes("read or written"))
      return `check for a full disk, a quota or a limit; ${goOn}`;
    if (error.message.includes("server")) return "check the URL, and whether the server is running";
    return null;
  }
  return remedies[error.code] ?? null;
}

const remedies: Readonly<Record<string, string>> = {
  STORE_BUSY: "try again, or wait longer with GORKFLOW_BUSY_TIMEOUT_MS",
  SCHEMA_TOO_NEW: "use the version of gorkflow that migrated it, or a later one",
  RUN_NOT_FOUND: "gorkflow runs list prints the existing runs",
  RUN_ALREADY_EXISTS: "import has --on-conflict skip and replace, copy has --resume",
  UNREADABLE_RUNS: "all other runs are done; restore these from a backup, or delete them",
  REFUSED_RUNS:
    "all other runs are done; remove the cause, and repeat with --resume or --on-conflict skip",
  INVALID_EXPORT: "nothing was stored from this line on; export again, or repair the file",
};

function onOneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, "; ");
}
