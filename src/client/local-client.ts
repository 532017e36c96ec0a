import type { Client, Transaction, TransactionMode, Value } from "@libsql/client";
import type { NativeValue } from "./bound-values.ts";

/** One SQL statement with its bound values, positional. */
export interface Statement {
  readonly sql: string;
  readonly args: readonly NativeValue[];
  /** True when it gives one row at most: reading that costs a third less than reading a list. */
  readonly single?: boolean;
  /** True when it is for the case that the statement before it changed nothing: otherwise it is left out. */
  readonly unlessChanged?: boolean;
}

/** What a statement answered: rows as plain arrays in column order, and the rows that it changed. */
export interface StatementResult {
  readonly rows: readonly (readonly Value[])[];
  readonly changes: number;
}

/**
 * The client of a local database: the `Client` interface of `@libsql/client`, and beside it a raw path
 * without the cost of its result sets. The raw path reads integers as numbers.
 */
export interface LocalClient extends Client {
  /** Runs the statements on one snapshot, which never waits for a writer. They must not write. */
  read(statements: readonly Statement[]): Promise<StatementResult[]>;

  /**
   * Runs the statements in order; all of them take effect, or none. Resolves after they are committed.
   *
   * Groups that are issued while a commit is under way commit together with the next one, in order; a group
   * that fails is undone alone. The error of a failed statement is a `LibsqlBatchError` with `statementIndex`.
   *
   * A group that waits when the signal aborts is never run; it rejects with the signal's reason.
   *
   * @throws {StoreBusyError} when another process holds the lock for longer than `busyTimeoutMs`.
   */
  write(
    statements: readonly Statement[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<StatementResult[]>;

  /** A transaction of the app: `begin`, or for the mode `read` one snapshot on a connection that only reads. */
  transaction(mode?: TransactionMode): Promise<LocalTransaction>;

  /** A transaction that owns the writer (`BEGIN IMMEDIATE`) until it is committed, rolled back or closed. */
  begin(): Promise<LocalTransaction>;
}

export interface LocalTransaction extends Transaction {
  /** Runs the statements in order; one that fails is undone, those before it stay. */
  run(statements: readonly Statement[]): Promise<StatementResult[]>;
}

/** True for a client of `createClient`, told by what it can do: asking must not load the native binding. */
export function isLocalClient(client: Client): client is LocalClient {
  return "read" in client && "write" in client && "begin" in client;
}
