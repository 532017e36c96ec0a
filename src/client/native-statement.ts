import { LibsqlError } from "@libsql/client/sqlite3";
import type Database from "libsql";
import type { NativeValue } from "./bound-values.ts";
import { toLibsqlError } from "./sqlite-errors.ts";

/** The types of the binding lack this method. */
type Interruptible = Database.Database & { interrupt(): void };

/** A statement of the binding. If a call throws because of a lock, the statement is not left open. */
export class NativeStatement {
  readonly #database: Database.Database;
  readonly #statement: Database.Statement;

  constructor(database: Database.Database, sql: string) {
    this.#database = database;
    this.#statement = database.prepare(sql);
  }

  /** True if it returns rows. */
  get isReader(): boolean {
    return this.#statement.reader;
  }

  columns(): readonly Database.ColumnDefinition[] {
    return this.#statement.columns();
  }

  /** Makes it return rows as arrays. */
  raw(): this {
    this.#statement.raw(true);
    return this;
  }

  /** Makes it return integers as bigints. */
  safeIntegers(): this {
    this.#statement.safeIntegers(true);
    return this;
  }

  run(values: readonly NativeValue[]): Database.RunResult {
    try {
      return this.#statement.run(values);
    } catch (error) {
      throw this.#ended(error);
    }
  }

  get(values: readonly NativeValue[]): unknown {
    try {
      return this.#statement.get(values);
    } catch (error) {
      throw this.#ended(error);
    }
  }

  all(values: readonly NativeValue[]): unknown[] {
    try {
      return this.#statement.all(values);
    } catch (error) {
      throw this.#ended(error);
    }
  }

  /**
   * The error of a call. The binding leaves a statement that met a lock in progress, and SQLite commits nothing while it
   * is. An interruption ends it.
   */
  #ended(error: unknown): unknown {
    const failure = toLibsqlError(error);
    if (!(failure instanceof LibsqlError) || failure.code !== "SQLITE_BUSY") return failure;
    // An interruption lasts while a statement is in progress. Without another one, a statement that has ended already
    // would be run again.
    const other = this.#database.prepare("values (1), (2)");
    ignoreError(() => other.run([]));
    (this.#database as Interruptible).interrupt();
    ignoreError(() => this.#statement.get([]));
    ignoreError(() => other.get([]));
    return failure;
  }
}

function ignoreError(work: () => void): void {
  try {
    work();
  } catch {
    // It is expected.
  }
}
