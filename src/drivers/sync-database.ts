import { BrokenText } from "../broken-text.ts";
import { StoreClosedError, UnsupportedError } from "../errors.ts";
import { LruMap } from "../lru-map.ts";
import { DriverError } from "./driver-error.ts";

/** A value that a driver binds. */
export type Bindable = string | number | bigint | null | Uint8Array;

/** A SQL statement and its values by position. */
export interface DriverStatement {
  readonly sql: string;
  readonly args: readonly Bindable[];
  /** True if it returns one row at most. */
  readonly single?: boolean;
}

type Row = readonly unknown[];

/** The result of a statement: rows as arrays in column order, and the number of changed rows. */
export interface DriverResult {
  readonly rows: readonly Row[];
  readonly changes: number;
}

/** The one connection of a synchronous SQLite library, which the app uses too. */
export interface SyncDatabase {
  /** Runs one statement in the open transaction. Integers are numbers. Text that is not UTF-8 may be bytes. */
  run(statement: DriverStatement): DriverResult;

  /** Runs one query outside a transaction. Fails at once if another connection has a lock. */
  query(statement: DriverStatement): DriverResult;

  /**
   * Runs `work` in a transaction, which commits if `work` returns and rolls back if it throws. A write takes the lock
   * first. Fails at once if another connection has a lock. Inside a transaction it is a savepoint.
   */
  transaction<T>(mode: "read" | "write", work: () => T): T;

  /** False while the app has switched foreign keys off: to delete a run would not delete its children. */
  readonly checksForeignKeys: boolean;

  /** Runs `work` in a transaction that does not check foreign keys. */
  withoutForeignKeys<T>(work: () => T): T;

  /** True for a Durable Object: the database has no savepoints, few pragmas, and the limits of `cloudflare.ts`. */
  readonly isOnCloudflare?: boolean;

  /**
   * True while a transaction is open. It is the app's own, unless it was begun here.
   *
   * @throws {StoreClosedError} if the database is closed.
   */
  readonly inTransaction: boolean;
}

/** The error for a database that does not check foreign keys. */
export function foreignKeysOff(): UnsupportedError {
  return new UnsupportedError({
    feature: "foreign keys",
    reason: "they are off: run `pragma foreign_keys = on` when you open the database",
  });
}

/** What the libraries name differently. Errors have the code of SQLite in `code` or `extendedCode`. */
export interface SyncLibrary {
  prepare(sql: string): SyncStatement;
  exec(sql: string): void;
  /** Null if the database is closed. */
  isInTransaction(): boolean | null;
}

/** A prepared statement, which returns rows or changes them. */
export type SyncStatement =
  | {
      all(args: readonly Bindable[]): readonly Row[];
      get(args: readonly Bindable[]): Row | null | undefined;
    }
  | { change(args: readonly Bindable[]): number };

const maxCachedStatements = 300;

/** A connection of a library that has `BEGIN` and `COMMIT`. */
export class LibraryDatabase implements SyncDatabase {
  readonly #library: SyncLibrary;
  readonly #statements = new LruMap<string, SyncStatement>(maxCachedStatements);
  #isLogged = false;

  constructor(library: SyncLibrary) {
    this.#library = library;
  }

  get inTransaction(): boolean {
    const isInTransaction = this.#library.isInTransaction();
    if (isInTransaction === null) throw new StoreClosedError();
    return isInTransaction;
  }

  get checksForeignKeys(): boolean {
    return this.#pragma("foreign_keys") === 1;
  }

  query(statement: DriverStatement): DriverResult {
    return this.#hasLog() ? this.run(statement) : this.#withoutWaiting(() => this.run(statement));
  }

  run(given: DriverStatement): DriverResult {
    const result = this.#run(given);
    const isDoubtful = query.test(given.sql) && result.rows.some((row) => row.some(mayBeBroken));
    return isDoubtful ? this.#withBytes(given, result) : result;
  }

  /** The same rows, with bytes in place of text that is not UTF-8. */
  #withBytes({ sql, args }: DriverStatement, { rows: [first = []] }: DriverResult): DriverResult {
    const names = first.map((_, index) => `c${index}`);
    const bytes = names.map((name) => `iif(typeof(${name}) = 'text', cast(${name} as blob), null)`);
    // The offset keeps SQLite from computing an expression twice, and from ignoring the order.
    const { rows } = this.#run({
      sql: `with "gorkflow query"(${names.join()}) as (${sql}
) select ${[...names, ...bytes].join()} from (select * from "gorkflow query" limit -1 offset 0)`,
      args,
    });
    return resultOfRows(
      rows.map((row) =>
        names.map((_, index) => {
          const blob = row[names.length + index];
          return mayBeBroken(row[index]) && blob instanceof Uint8Array && !isUtf8(blob)
            ? new BrokenText(blob)
            : row[index];
        }),
      ),
    );
  }

  #run(given: DriverStatement): DriverResult {
    const { sql, args, single } = given;
    try {
      const statement = this.#statements.getOrMake(sql, () => this.#library.prepare(sql));
      if ("change" in statement) return { rows: [], changes: statement.change(args) };
      if (single !== true) return resultOfRows(statement.all(args));
      const row = statement.get(args);
      return { rows: row === null || row === undefined ? [] : [row], changes: 0 };
    } catch (error) {
      // The library may not have reset it.
      this.#statements.delete(sql);
      if (isOfEarlierConnection(error)) return this.#run(given);
      throw this.#errorOf(error);
    }
  }

  transaction<T>(mode: "read" | "write", work: () => T): T {
    if (this.inTransaction) {
      return this.#within("savepoint gorkflow", "release gorkflow", rollbackToSavepoint, work);
    }
    if (mode === "write") {
      return this.#withoutWaiting(() =>
        this.#within("begin immediate", "commit", "rollback", work),
      );
    }
    // Without a transaction, an open query of the app keeps the snapshot.
    const read = () => (this.#tryExec("begin") ? this.#ending("commit", "rollback", work) : work());
    return this.#hasLog() ? read() : this.#withoutWaiting(read);
  }

  withoutForeignKeys<T>(work: () => T): T {
    // The pragma has no effect inside a transaction.
    const wasChecking = this.checksForeignKeys;
    this.#exec("pragma foreign_keys = off");
    try {
      return this.transaction("write", work);
    } finally {
      if (wasChecking) this.#exec("pragma foreign_keys = on");
    }
  }

  /** True for a write-ahead log, with which reads do not wait for writers. */
  #hasLog(): boolean {
    this.#isLogged ||= this.#pragma("journal_mode") === "wal";
    return this.#isLogged;
  }

  /** Runs `work` without the app's timeout for locks, which would block the event loop for seconds. */
  #withoutWaiting<T>(work: () => T): T {
    const timeoutMs = Number(this.#pragma("busy_timeout"));
    if (timeoutMs === 0 || !this.#tryExec("pragma busy_timeout = 0")) return work();
    try {
      return work();
    } finally {
      try {
        this.#exec(`pragma busy_timeout = ${timeoutMs}`);
      } catch {
        // A logger of the app has thrown. The work has taken effect anyway.
      }
    }
  }

  #pragma(name: string): unknown {
    const [[value] = []] = this.run({ sql: `pragma ${name}`, args: [] }).rows;
    return value;
  }

  #exec(sql: string): void {
    try {
      this.#library.exec(sql);
    } catch (error) {
      throw this.#errorOf(error);
    }
  }

  /** Returns false if better-sqlite3 refuses it while the app iterates over the rows of a query. */
  #tryExec(sql: string): boolean {
    try {
      this.#exec(sql);
      return true;
    } catch (error) {
      if (error instanceof DriverError && error.code === "SQLITE_BUSY") return false;
      throw error;
    }
  }

  /** The error of a call of the library. */
  #errorOf(error: unknown): unknown {
    if (this.#library.isInTransaction() === null) return new StoreClosedError({ cause: error });
    if (!(error instanceof Error)) return error;
    const { code } = error as { readonly code?: unknown };
    const isOfSQLite = typeof code === "string" && code.startsWith("SQLITE_");
    return isOfSQLite ? error : new DriverError(error.message, "LIBRARY_ERROR", error);
  }

  #within<T>(begin: string, commit: string, rollback: string, work: () => T): T {
    this.#exec(begin);
    return this.#ending(commit, rollback, work);
  }

  #ending<T>(commit: string, rollback: string, work: () => T): T {
    try {
      const result = work();
      this.#exec(commit);
      return result;
    } catch (error) {
      try {
        // SQLite has ended the transaction already after some errors.
        if (this.inTransaction) this.#exec(rollback);
      } catch {
        // The caller gets the error of the work.
      }
      throw error;
    }
  }
}

/** True if the app has closed its `DatabaseSync` and opened it again after the statement was prepared. Nothing was run. */
function isOfEarlierConnection(error: unknown): boolean {
  return error instanceof Error && error.message === "statement has been finalized";
}

const query = /^\s*select\b/i;

/** True for text that a library may have decoded from other bytes than UTF-8. They all write U+FFFD for such bytes. */
function mayBeBroken(cell: unknown): boolean {
  return typeof cell === "string" && cell.includes("\uFFFD");
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

const rollbackToSavepoint = "rollback to gorkflow; release gorkflow";

/** The changes of a statement with RETURNING are its rows. */
function resultOfRows(rows: readonly Row[]): DriverResult {
  return { rows, changes: rows.length };
}
