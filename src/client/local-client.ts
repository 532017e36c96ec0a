import type { Client, Transaction, TransactionMode, Value } from "@libsql/client";
import type { NativeValue } from "./bound-values.ts";

/** A SQL statement and its values by position. */
export interface Statement {
  readonly sql: string;
  readonly args: readonly NativeValue[];
  /** True if it returns one row at most, which is a third faster to read than a list. */
  readonly single?: boolean;
  /** True if it is skipped when the write before it changed rows. */
  readonly unlessChanged?: boolean;
}

/** The result of a statement: rows as arrays in column order, and the number of changed rows. */
export interface StatementResult {
  readonly rows: readonly (readonly Value[])[];
  readonly changes: number;
}

/** A `Client` with `read` and `write`, which avoid the cost of result sets. They return integers as numbers. */
export interface LocalClient extends Client {
  /** Runs statements that do not write, on one snapshot. It does not wait for writers. */
  read(statements: readonly Statement[]): Promise<StatementResult[]>;

  /**
   * Runs the statements in order, all or none of them, and resolves after the commit.
   *
   * Calls that arrive during a commit share the next one, in order. A call that fails is undone alone. The error of a
   * statement is a `LibsqlBatchError` with `statementIndex`. A call that is still waiting when the signal aborts is not
   * run, and rejects with the reason of the signal.
   *
   * @throws {StoreBusyError} if another process holds the lock for longer than `busyTimeoutMs`.
   */
  write(
    statements: readonly Statement[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<StatementResult[]>;

  /** Like `begin`. The mode `read` gives a snapshot on a connection that only reads. */
  transaction(mode?: TransactionMode): Promise<LocalTransaction>;

  /** A transaction that holds the write lock (`BEGIN IMMEDIATE`) until it is committed, rolled back or closed. */
  begin(): Promise<LocalTransaction>;
}

export interface LocalTransaction extends Transaction {
  /** Runs the statements in order. A statement that fails is undone; those before it are kept. */
  run(statements: readonly Statement[]): Promise<StatementResult[]>;
}

/** True for a client of `createClient`. It is recognized by its methods, so that the binding is not loaded here. */
export function isLocalClient(client: Client): client is LocalClient {
  return "read" in client && "write" in client && "begin" in client;
}
