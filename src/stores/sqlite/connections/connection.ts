import type { ResultSet, Value } from "@libsql/client";
import { StoreConnectionError } from "../../../errors.ts";
import { undecidedError } from "../../undecided-error.ts";
import type { StatementResult } from "../../../client/local-client.ts";
import type { BoundStatement } from "../statements/statement.ts";

export type { StatementResult };

/** A connection for reads. */
export type Reader = Pick<Connection, "read">;

/** Queries that depend on the results of others. It yields queries, receives their results, and returns a value. */
export type Queries<T> = Generator<readonly BoundStatement[], T, readonly StatementResult[]>;

/** A copy of the database that may be behind the primary. */
export interface Replica {
  /** Null if it cannot answer, or lacks something that this process has seen. The caller asks the primary then. */
  read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[] | null>;
}

/** Runs statements on a database. There is one implementation for each kind of client and of transaction. */
export interface Connection {
  /** Runs the statements on one snapshot. */
  read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[]>;

  /** Runs queries that depend on the results of others, on one snapshot. They run again if the connection is lost. */
  snapshot<T>(queries: () => Queries<T>): Promise<T>;

  /**
   * Runs the statements in order, all or none of them, and resolves after the commit.
   *
   * They must not fail on a foreseeable cause, because other calls may share their commit or their round trip.
   */
  write(
    statements: readonly BoundStatement[],
    options?: WriteOptions,
  ): Promise<readonly StatementResult[]>;

  /**
   * As `write`, for statements with guards, which fail if a precondition does not hold. They share nothing with other
   * calls. Undefined inside a transaction, where a failure would not undo the statements before it.
   */
  writeGuarded?(
    statements: readonly BoundStatement[],
    options?: SignalOptions,
  ): Promise<readonly StatementResult[]>;

  /** False if `transaction` rejects with `UnsupportedError`. Defaults to true. */
  readonly hasTransactions?: boolean;

  /** The number of selects that a UNION may have. Defaults to any. */
  readonly maxUnionTerms?: number | undefined;

  /** Runs `work` in a transaction, or in a savepoint of this one. */
  transaction<T>(work: (tx: Connection) => Promise<T>, options?: SignalOptions): Promise<T>;

  /** Runs statements outside a transaction. Defined for our own local client only. */
  runScript?(sql: string): Promise<void>;
}

export interface SignalOptions {
  /** A call that has not been sent when the signal aborts is never sent. */
  readonly signal?: AbortSignal | undefined;
}

export interface WriteOptions extends SignalOptions {
  /**
   * True if the statements may be sent again after a lost connection: writing twice has the same effect as writing once,
   * and the second answer tells the caller what the first would have said.
   */
  readonly repeatable?: boolean | undefined;
  /** True for a heartbeat: the caller does not wait until the app's cache is invalidated. */
  readonly urgent?: boolean | undefined;
  /** Called before the statements are sent again. */
  readonly onSentAgain?: (() => void) | undefined;
}

/** A precondition does not hold in a repeated request. The first request may be the cause. */
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

/** The result of reads that complete the result of a write. If they fail, the write may be committed nevertheless. */
export async function readAfterWrite<T>(connection: Connection, reads: Promise<T>): Promise<T> {
  try {
    return await reads;
  } catch (error) {
    // Inside a transaction nothing is committed yet.
    throw connection.writeGuarded === undefined ? error : undecidedError(error);
  }
}

/** Runs queries one after the other. */
export async function runQueries<T>(reader: Reader, queries: Queries<T>): Promise<T> {
  let step = queries.next();
  while (step.done !== true) step = queries.next(await reader.read(step.value));
  return step.value;
}

/** The text of a key column. The stores write only text there. */
export function textOf(cell: unknown): string {
  return typeof cell === "string" ? cell : "";
}

/** A client's result set as plain arrays. */
export function resultOf(result: ResultSet): StatementResult {
  return {
    rows: result.rows.map((row) => Array.prototype.slice.call(row) as Value[]),
    changes: result.rowsAffected,
  };
}
