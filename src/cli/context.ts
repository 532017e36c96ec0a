import type { Environment } from "../environment.ts";

/** What a command gets besides its arguments. */
export interface CommandContext {
  /** Aborts when the command is interrupted. */
  readonly signal: AbortSignal;
  /** Also aborts when the output is closed. For commands that only print. */
  readonly reading: AbortSignal;
  readonly env: Environment;
  /** Makes the command end with exit code 1 although it succeeds: it found a problem. */
  foundSomething(): void;
  /**
   * Makes Ctrl-C and SIGTERM end the process at once. For a long query that writes nothing: it blocks the event loop, so
   * the process could not react to a signal.
   */
  endAtOnce(): void;
  /** Sets the advice that is printed if the command is interrupted. */
  onInterruption(remedy: string): void;
}
