import { LibsqlBatchError, LibsqlError } from "@libsql/client/sqlite3";
import Database from "libsql";
import { primaryCode } from "../sqlite-codes.ts";
import type { Columns } from "./statement-cache.ts";

/** The error that `@libsql/client` throws for an error of the binding. */
export function toLibsqlError(error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  return new LibsqlError(
    error.message,
    primaryCode(error.rawCode),
    error.code,
    error.rawCode,
    error,
  );
}

/** An error of opening a file. The binding has no code for a folder or a file that does not exist. */
export function toOpeningError(error: unknown): unknown {
  const failure = toLibsqlError(error);
  if (failure instanceof LibsqlError || !(failure instanceof Error)) return failure;
  const message = "The database file cannot be opened";
  return new LibsqlError(message, "SQLITE_CANTOPEN", undefined, 14, failure);
}

/** The error of the statement at `statementIndex` of a batch. */
export function toBatchError(error: unknown, statementIndex: number): unknown {
  if (error instanceof LibsqlBatchError || !(error instanceof LibsqlError)) return error;
  return new LibsqlBatchError(
    error.message,
    statementIndex,
    error.code,
    error.extendedCode,
    error.rawCode,
    error.cause instanceof Error ? error.cause : undefined,
  );
}

export function isSqliteError(error: unknown): boolean {
  return error instanceof LibsqlError;
}

/** True if another connection held a lock. The statement had no effect. */
export function isBusy(error: unknown): boolean {
  return error instanceof LibsqlError && /^SQLITE_(BUSY|LOCKED)/.test(error.code);
}

/** True if a packed query was prepared for other columns than its tables have now. */
export function isOfChangedColumns(error: unknown): boolean {
  return error instanceof LibsqlError && /table gorkflow query has \d+ values/.test(error.message);
}

/** True if a trigger rejected the statement. */
export function isTriggerFailure(error: unknown): boolean {
  return error instanceof LibsqlError && error.extendedCode === "SQLITE_CONSTRAINT_TRIGGER";
}

/** True if a statement after the first one of a batch failed. */
export function isOfLaterStatement(error: unknown): boolean {
  return error instanceof LibsqlBatchError && error.statementIndex > 0;
}

/** True if the statement tried to write on a connection that only reads. */
export function isReadOnly(error: unknown): boolean {
  return error instanceof LibsqlError && error.code === "SQLITE_READONLY";
}

/** True if the shared memory of a write-ahead log could not be created, mapped or locked. */
export function hasNoSharedMemory(error: unknown): boolean {
  return (
    error instanceof LibsqlError &&
    /^SQLITE_(IOERR_SHM(?!SIZE)|IOERR_LOCK|PROTOCOL)/.test(error.extendedCode ?? error.code)
  );
}

export function noWriteAheadLog(cause?: unknown): LibsqlError {
  return new LibsqlError(
    "the database cannot have a write-ahead log where its file is, a network file system for example: " +
      'open it with journalMode "delete" and from one machine',
    "SQLITE_IOERR",
    "SQLITE_IOERR_SHMMAP",
    undefined,
    cause instanceof Error ? cause : undefined,
  );
}

/** The database cell behind an error. */
class BrokenTextError extends Error {
  override readonly name = "BrokenTextError";
  readonly table: string;
  readonly column: string;
  constructor({ table, column }: { readonly table: string; readonly column: string }) {
    super(`${table}.${column} is not UTF-8`);
    this.table = table;
    this.column = column;
  }
}

/** The error of a query whose result has text that is not UTF-8, in the column of this index. */
export function brokenText({ names, origins }: Columns, index: number): LibsqlError {
  const cause = new BrokenTextError(origins?.[index] ?? { table: "", column: names[index] ?? "" });
  return new LibsqlError(
    `The column ${names[index]} of the result has text that is not UTF-8: read it by cast(… as blob)`,
    "TEXT_NOT_UTF8",
    undefined,
    undefined,
    cause,
  );
}

export function hiddenTable(name: string): LibsqlError {
  return new LibsqlError(
    `the temporary table or view ${name} hides a table of the database: drop it, or give it another name`,
    "TABLE_HIDDEN",
  );
}

export function clientClosed(): LibsqlError {
  return new LibsqlError("The client is closed", "CLIENT_CLOSED");
}

export function transactionClosed(statementIndex?: number): LibsqlError {
  return statementIndex === undefined
    ? new LibsqlError("The transaction is closed", "TRANSACTION_CLOSED")
    : new LibsqlBatchError(
        "The transaction has been rolled back",
        statementIndex,
        "TRANSACTION_CLOSED",
      );
}
