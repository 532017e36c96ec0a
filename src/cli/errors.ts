import { exitCodes, type ExitCode } from "./exit-codes.ts";

/** An error of the command itself, with what to do about it. */
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

/** The reason of the signal when the command is interrupted. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
  readonly exitCode: ExitCode;
  constructor(signal: "SIGINT" | "SIGTERM") {
    super(`ended by ${signal}`);
    this.exitCode = signal === "SIGINT" ? exitCodes.interrupted : exitCodes.terminated;
  }
}

/** The reason of the signal if the output cannot be written, for example to a full disk. It is reported at once. */
export class OutputFailedError extends CommandError {
  constructor(cause: string) {
    super({
      code: "OUTPUT_FAILED",
      message: `the output cannot be written (${cause})`,
      remedy: "what the command has changed stays changed",
    });
  }
}

/** The reason of the signal when the reader of the output has gone, as after `| head`. */
export class OutputClosedError extends Error {
  override readonly name = "OutputClosedError";
}
