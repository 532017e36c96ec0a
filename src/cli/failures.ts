import { CommanderError } from "commander";
import { GorkflowError, InvalidArgumentError, StoreConnectionError } from "../errors.ts";
import { CommandError, InterruptedError, OutputClosedError, OutputFailedError } from "./errors.ts";
import { exitCodes, type ExitCode } from "./exit-codes.ts";
import { escaped, note, noteColors } from "./output/output.ts";

/** How a command that did not succeed ends: what is said, and its exit code. */
interface Ending {
  readonly exitCode: ExitCode;
  /** Null when there is nothing to say. */
  readonly problem: Problem | null;
}

interface Problem {
  readonly code: string;
  readonly message: string;
  readonly remedy: string | null;
}

/** Says in one line what went wrong and what to do, and returns the exit code. */
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
  // It was reported when it happened.
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
  // A defect, or an error of the system: its message may quote what nobody should read in a log.
  const name = error instanceof Error ? error.name : typeof error;
  const code = error instanceof Error && "code" in error ? String(error.code) : name;
  return {
    exitCode: exitCodes.failure,
    problem: { code: "UNEXPECTED", message: `unexpected failure: ${code}`, remedy: null },
  };
}

/** In text, commander has said it itself. */
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

/** What to do, where the message does not say it. */
function remedyFor(error: GorkflowError, goOn: string): string | null {
  if (error instanceof StoreConnectionError) {
    if (error.message.includes("auth token")) {
      return "set GORKFLOW_AUTH_TOKEN to one that is valid, in the same place as GORKFLOW_DATABASE_URL";
    }
    if (error.message.includes("disk is full")) return `make room; ${goOn}`;
    if (error.message.includes("read or written"))
      return `look for a full disk, a quota or a limit; ${goOn}`;
    if (error.message.includes("server")) return "check the URL, and that the server is up";
    return null;
  }
  return remedies[error.code] ?? null;
}

const remedies: Readonly<Record<string, string>> = {
  STORE_BUSY: "try again, or wait longer with GORKFLOW_BUSY_TIMEOUT_MS",
  SCHEMA_TOO_NEW: "use the version of gorkflow that migrated it, or a later one",
  RUN_NOT_FOUND: "gorkflow runs list shows which there are",
  RUN_ALREADY_EXISTS: "import has --on-conflict skip and replace, copy has --resume",
  UNREADABLE_RUNS: "all others are done; restore those from a backup, or delete them",
  REFUSED_RUNS: "all others are done; remove what refuses them, and repeat with --resume or skip",
  INVALID_EXPORT: "nothing of this line or after it was stored; export again, or mend it",
};

function onOneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, "; ");
}
