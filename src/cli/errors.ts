import { exitCodes, type ExitCode } from "./exit-codes.ts";

/** A failure of the command, with a remedy. */
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

/** The abort reason after Ctrl-C or SIGTERM. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
  readonly exitCode: ExitCode;
  constructor(signal: "SIGINT" | "SIGTERM") {
    super(`ended by ${signal}`);
    this.exitCode = signal === "SIGINT" ? exitCodes.interrupted : exitCodes.terminated;
  }
}

/** The abort reason if the output cannot be written, for example to a full disk. It is reported when it happens. */
export class OutputFailedError extends CommandError {
  constructor(cause: string) {
    super({
      code: "OUTPUT_FAILED",
      message: `the output cannot be written (${cause})`,
      remedy: "the command has done its work; only its output is incomplete",
    });
  }
}

/** The abort reason if the reader closes the output, as `| head` does. */
export class OutputClosedError extends Error {
  override readonly name = "OutputClosedError";
}
