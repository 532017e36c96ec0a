import { StoreConnectionError } from "../../../errors.ts";
import type { StatementResult } from "../../../client/local-client.ts";
import type { BoundStatement } from "../statements/statement.ts";

export type { StatementResult };

/** Where reads go. */
export type Reader = Pick<Connection, "read">;

/** Somewhere nearer than the primary, where reads can go. */
export interface Replica {
  /** Null when it cannot answer, or lacks something that this process has seen: the primary is asked then. */
  read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[] | null>;
}

/** How statements reach a database. One implementation for each kind of client, and for transactions. */
export interface Connection {
  /** Runs the statements on one snapshot. */
  read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[]>;

  /**
   * Runs `work`, whose reads all see one snapshot. It may be run again, after a connection was lost.
   *
   * For reads that depend on what others have found: those that can be written down at once belong in one `read`.
   */
  snapshot<T>(work: (reader: Reader) => Promise<T>): Promise<T>;

  /**
   * Runs the statements in order; all take effect or none, and they are committed when it resolves.
   *
   * They must not fail on a foreseeable cause: other groups may share their commit or their round trip.
   */
  write(
    statements: readonly BoundStatement[],
    options?: WriteOptions,
  ): Promise<readonly StatementResult[]>;

  /**
   * As `write`, for statements of which some are guards, made to fail: they share nothing with other groups. Absent
   * inside a transaction, where a failure would not undo the statements before it.
   */
  writeGuarded?(
    statements: readonly BoundStatement[],
    options?: SignalOptions,
  ): Promise<readonly StatementResult[]>;

  /** Runs `work` in a transaction, or in a savepoint of this one. */
  transaction<T>(work: (tx: Connection) => Promise<T>, options?: SignalOptions): Promise<T>;

  /** Runs statements that have to be outside of a transaction, all rows of each. Only on a file of our own. */
  runScript?(sql: string): Promise<void>;
}

export interface SignalOptions {
  /** What has not been sent when the signal aborts is never sent. */
  readonly signal?: AbortSignal | undefined;
}

export interface WriteOptions extends SignalOptions {
  /**
   * True when writing twice leaves the same as writing once, and the caller can tell from the second answer what
   * the first would have been: after a lost connection the statements are sent again.
   */
  readonly repeatable?: boolean | undefined;
  /** True when the caller must not wait until an app's cache has forgotten what was written: a heartbeat. */
  readonly urgent?: boolean | undefined;
  /** Called when the statements are sent again after the server said that it had not run them. */
  readonly onSentAgain?: (() => void) | undefined;
}

/** A precondition does not hold after a second sending: the first one may have been the cause. */
export function sentTwiceError(cause: unknown): StoreConnectionError {
  return new StoreConnectionError(
    {
      reason: "the server refused a write, and when it was sent again it had no effect",
      outcome: "unknown",
      retryable: true,
    },
    { cause },
  );
}

/** A cell of a key: keys are text in every row that the stores write. */
export function textOf(cell: unknown): string {
  return typeof cell === "string" ? cell : "";
}
