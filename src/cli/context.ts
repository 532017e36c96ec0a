import type { Environment } from "../environment.ts";

/** The context that every command receives. */
export interface CommandContext {
  /** Aborts when the command is interrupted. */
  readonly signal: AbortSignal;
  /** Like `signal`, and also aborts when the output is closed. For commands that only print. */
  readonly reading: AbortSignal;
  readonly env: Environment;
  /** Makes the exit code 1, for a command that found a problem and did not fail. */
  foundSomething(): void;
  /**
   * Lets Ctrl-C and SIGTERM end the process immediately. For long queries that write nothing and block the event loop.
   */
  endAtOnce(): void;
  /** Sets the remedy that is printed if the command is interrupted. */
  onInterruption(remedy: string): void;
}
