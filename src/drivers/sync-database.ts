import { LruMap } from "../lru-map.ts";

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
  /** Runs one statement. Integers are numbers. */
  run(statement: DriverStatement): DriverResult;

  /**
   * Runs `work` in a transaction, which commits if `work` returns and rolls back if it throws. A write takes the lock
   * first, and fails at once if another connection has it. Inside a transaction it is a savepoint.
   */
  transaction<T>(mode: "read" | "write", work: () => T): T;

  /** Runs `work` in a transaction that does not check foreign keys. */
  withoutForeignKeys<T>(work: () => T): T;

  /** True for a Durable Object: the database has no savepoints, few pragmas, and the limits of `cloudflare.ts`. */
  readonly isOnCloudflare?: boolean;

  /** True while a transaction is open. It is the app's own, unless it was begun here. */
  readonly inTransaction: boolean;
}

/** What the libraries name differently. Errors have the code of SQLite in `code` or `extendedCode`. */
export interface SyncLibrary {
  prepare(sql: string): SyncStatement;
  exec(sql: string): void;
  isInTransaction(): boolean;
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

  constructor(library: SyncLibrary) {
    this.#library = library;
  }

  get inTransaction(): boolean {
    return this.#library.isInTransaction();
  }

  run({ sql, args, single }: DriverStatement): DriverResult {
    try {
      const statement = this.#statements.getOrMake(sql, () => this.#library.prepare(sql));
      if ("change" in statement) return { rows: [], changes: statement.change(args) };
      if (single !== true) return resultOfRows(statement.all(args));
      const row = statement.get(args);
      return { rows: row === null || row === undefined ? [] : [row], changes: 0 };
    } catch (error) {
      // The library may not have reset it.
      this.#statements.delete(sql);
      throw error;
    }
  }

  transaction<T>(mode: "read" | "write", work: () => T): T {
    if (this.inTransaction) {
      return this.#within("savepoint gorkflow", "release gorkflow", rollbackToSavepoint, work);
    }
    if (mode === "read") return this.#within("begin", "commit", "rollback", work);
    return this.#within(this.#beginWithoutWaiting(), "commit", "rollback", work);
  }

  withoutForeignKeys<T>(work: () => T): T {
    // The pragma has no effect inside a transaction.
    const [[enabled] = []] = this.run({ sql: "pragma foreign_keys", args: [] }).rows;
    this.#library.exec("pragma foreign_keys = off");
    try {
      return this.transaction("write", work);
    } finally {
      if (enabled === 1) this.#library.exec("pragma foreign_keys = on");
    }
  }

  /** The script that takes the write lock. The app's timeout would block the event loop for seconds. */
  #beginWithoutWaiting(): string {
    const [[timeoutMs] = []] = this.run({ sql: "pragma busy_timeout", args: [] }).rows;
    if (timeoutMs === 0) return "begin immediate";
    this.#library.exec("pragma busy_timeout = 0");
    try {
      this.#library.exec("begin immediate");
    } finally {
      this.#library.exec(`pragma busy_timeout = ${Number(timeoutMs)}`);
    }
    return "";
  }

  #within<T>(begin: string, commit: string, rollback: string, work: () => T): T {
    if (begin !== "") this.#library.exec(begin);
    try {
      const result = work();
      this.#library.exec(commit);
      return result;
    } catch (error) {
      try {
        // SQLite has ended the transaction already after some errors.
        if (this.inTransaction) this.#library.exec(rollback);
      } catch {
        // The caller gets the error of the work.
      }
      throw error;
    }
  }
}

const rollbackToSavepoint = "rollback to gorkflow; release gorkflow";

/** The changes of a statement with RETURNING are its rows. */
function resultOfRows(rows: readonly Row[]): DriverResult {
  return { rows, changes: rows.length };
}
