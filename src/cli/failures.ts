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
  const problem = problemOf(error, json, goOn);
  if (problem !== null && json) note(JSON.stringify({ error: problem }));
  else if (problem !== null) {
    const remedy = problem.remedy === null ? "" : ` (${problem.remedy})`;
    note(`${noteColors.red("gorkflow:")} ${escaped(onOneLine(problem.message + remedy))}`);
  }
  return exitCodeOf(error);
}

/** Reports an error if a module of the project ends the process. */
export function guardAgainstExit(json: boolean): () => void {
  const report = () => {
    const error = new CommandError({
      code: "MODULE_EXITED",
      message: "the configuration or the schema ended the process",
      remedy: "run the file with npx tsx to see where",
    });
    process.exitCode = reportFailure(error, { json, goOn: "" });
  };
  process.once("exit", report);
  return () => process.off("exit", report);
}

function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof OutputClosedError) return exitCodes.fine;
  if (error instanceof InterruptedError || error instanceof CommandError) return error.exitCode;
  // Help and the version have been printed.
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.fine;
  const isUsage = error instanceof CommanderError || error instanceof InvalidArgumentError;
  return isUsage ? exitCodes.usage : exitCodes.failure;
}

/** Null if nothing is printed. */
function problemOf(error: unknown, json: boolean, goOn: string): Problem | null {
  // The failure of the output was reported at once.
  if (error instanceof OutputClosedError || error instanceof OutputFailedError) return null;
  if (error instanceof InterruptedError) {
    const message = "interrupted; finished work stays done";
    return { code: "INTERRUPTED", message, remedy: goOn };
  }
  if (error instanceof CommandError) {
    const { code, message, remedy } = error;
    return { code, message, remedy };
  }
  if (error instanceof CommanderError) {
    // It prints the text itself.
    return error.exitCode !== 0 && json ? usageProblem(error) : null;
  }
  if (error instanceof GorkflowError) {
    return { code: error.code, message: error.message, remedy: remedyFor(error, goOn) };
  }
  // A defect, or an error of the system. Its message may contain data that must not be logged.
  const name = error instanceof Error ? error.name : typeof error;
  const code = error instanceof Error && "code" in error ? String(error.code) : name;
  return { code: "UNEXPECTED", message: `unexpected failure: ${code}`, remedy: null };
}

function usageProblem({ code, message }: CommanderError): Problem {
  return {
    code: "USAGE",
    message: code === "commander.help" ? "no command was given" : message.replace(/^error: /, ""),
    remedy: "gorkflow --help shows the usage",
  };
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
    if (error.message.includes("is read-only")) {
      return "get write access to the file and its folder, even to read a write-ahead log";
    }
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
