import type { Environment } from "../environment.ts";

/** What every command is given beside its own arguments. */
export interface CommandContext {
  /** Aborts when the command is to end before it is done. */
  readonly signal: AbortSignal;
  /** As `signal`, and when nobody reads the output any more: for a command that does nothing but print. */
  readonly reading: AbortSignal;
  readonly env: Environment;
  /** The command ends with exit code 1 without having failed: it found what it was asked to look for. */
  foundSomething(): void;
  /**
   * From now on Ctrl-C and SIGTERM end the process as if nobody listened: for a query that takes long, and writes
   * nothing. The process hears nothing while the database works.
   */
  endAtOnce(): void;
  /** What to say, from now on, to somebody who interrupts the command. */
  onInterruption(remedy: string): void;
}
