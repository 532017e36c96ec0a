import { exitCodes, type ExitCode } from "./exit-codes.ts";

/** A failure that the command itself names: what is wrong, and what to do about it. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: string;
  readonly remedy: string;
  readonly exitCode: ExitCode;
  constructor(
    {
      code,
      message,
      remedy,
      exitCode = exitCodes.failure,
    }: { code: string; message: string; remedy: string; exitCode?: ExitCode },
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.remedy = remedy;
    this.exitCode = exitCode;
  }
}

/** The reason of the signal when somebody ends the command. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
  readonly exitCode: ExitCode;
  constructor(signal: "SIGINT" | "SIGTERM") {
    super(`ended by ${signal}`);
    this.exitCode = signal === "SIGINT" ? exitCodes.interrupted : exitCodes.terminated;
  }
}

/** The reason of the signal when the output cannot be written: the disk is full, for one. It has been reported. */
export class OutputFailedError extends CommandError {
  constructor(cause: string) {
    super({
      code: "OUTPUT_FAILED",
      message: `the output cannot be written (${cause})`,
      remedy: "what the command did is done; only its answer is not complete",
    });
  }
}

/** The reason of the signal when nobody reads the output any more, as after `| head`. */
export class OutputClosedError extends Error {
  override readonly name = "OutputClosedError";
}
