import type { InArgs, IntMode, ResultSet } from "@libsql/client";
import { LibsqlError } from "@libsql/client/sqlite3";
import Database from "libsql";
import { toNativeArguments, type NativeValue } from "./bound-values.ts";
import type { LocalDatabaseSettings } from "./config.ts";
import type { DatabaseFile } from "./database-file.ts";
import type { Statement, StatementResult } from "./local-client.ts";
import { resultOfChange, resultOfRows, type NativeCell } from "./result-set.ts";
import { isBusy, toLibsqlError } from "./sqlite-errors.ts";
import { columnsOf, rowsOf, StatementCache, type PreparedStatement } from "./statement-cache.ts";

/** One statement for the `Client` interface: values by position or by name. */
export interface ClientStatement {
  readonly sql: string;
  readonly args?: InArgs | readonly NativeValue[] | undefined;
}

/**
 * One connection of the binding. Every call is synchronous and leaves no statement in progress.
 *
 * It never waits for a lock: whoever waits in the binding stops the event loop.
 */
export class NativeConnection {
  readonly #settings: LocalDatabaseSettings;
  readonly #file: DatabaseFile;
  readonly #pragmas: string;
  #database: Database.Database;
  #statements: StatementCache;
  /** A statement met a lock. The binding leaves it in progress, and nothing would be committed beside it. */
  #spoiled = false;

  /** @throws {LibsqlError} when the file cannot be opened. */
  constructor(settings: LocalDatabaseSettings, file: DatabaseFile, pragmas: readonly string[]) {
    this.#settings = settings;
    this.#file = file;
    this.#pragmas = [`synchronous = ${settings.durability}`, ...pragmas]
      .map((pragma) => `pragma ${pragma};`)
      .join("");
    ({ database: this.#database, statements: this.#statements } = this.#open());
  }

  get inTransaction(): boolean {
    // Asking a closed database ends the process.
    return this.#database.open && this.#database.inTransaction;
  }

  get isOpen(): boolean {
    return this.#database.open;
  }

  /** Runs a script on the one path that finalizes a statement which met a lock. */
  exec(sql: string): void {
    this.#renewWhenSpoiled();
    try {
      this.#database.exec(sql);
    } catch (error) {
      throw toLibsqlError(error);
    }
  }

  /** Rows as arrays, integers as numbers. */
  run({ sql, args, single }: Statement): StatementResult {
    return this.#attempt(sql, false, (statement) => {
      if (!statement.givesRows) {
        return { rows: [], changes: statement.native.run(args).changes };
      }
      if (single === true) {
        const row = statement.native.get(args) as StatementResult["rows"][number] | undefined;
        return { rows: row === undefined ? [] : [row], changes: 0 };
      }
      const rows = rowsOf(statement, args) as StatementResult["rows"];
      return { rows, changes: rows.length };
    });
  }

  /** What the `Client` interface gives. */
  execute({ sql, args }: ClientStatement, intMode: IntMode): ResultSet {
    const parameters = toNativeArguments(args, intMode);
    return this.#attempt(sql, true, (statement) => {
      const { native } = statement;
      if (!statement.givesRows) {
        const { changes, lastInsertRowid } = native.run(parameters);
        return resultOfChange(changes, BigInt(lastInsertRowid));
      }
      const rows = rowsOf(statement, parameters) as NativeCell[][];
      return resultOfRows(columnsOf(statement), rows, intMode);
    });
  }

  close(): void {
    this.#statements.clear();
    if (this.#database.open) this.#database.close();
  }

  #attempt<T>(sql: string, readsBigints: boolean, use: (statement: PreparedStatement) => T): T {
    this.#renewWhenSpoiled();
    try {
      const statement = this.#statements.get(sql);
      if (statement.readsBigints !== readsBigints) {
        statement.native.safeIntegers(readsBigints);
        statement.readsBigints = readsBigints;
      }
      return use(statement);
    } catch (error) {
      const failure = toLibsqlError(error);
      if (isBusy(failure)) this.#spoiled = true;
      throw failure;
    }
  }

  #renewWhenSpoiled(): void {
    // Inside a transaction the commit will fail, aloud; and a database in memory has no other process to meet.
    if (!this.#spoiled || this.inTransaction || this.#settings.inMemory) return;
    this.close();
    ({ database: this.#database, statements: this.#statements } = this.#open());
    this.#spoiled = false;
  }

  #open(): { database: Database.Database; statements: StatementCache } {
    const { path, encryptionKey } = this.#settings;
    // Opening a file that was deleted would make a new one.
    this.#file.check();
    try {
      const database = new Database(path, {
        timeout: 0,
        ...(encryptionKey !== null && { encryptionKey }),
      });
      try {
        database.exec(this.#pragmas);
      } catch (error) {
        database.close();
        throw error;
      }
      return { database, statements: new StatementCache((sql) => database.prepare(sql)) };
    } catch (error) {
      const failure = toLibsqlError(error);
      if (failure instanceof LibsqlError || !(failure instanceof Error)) throw failure;
      // The binding has no code for a folder that is not there.
      throw new LibsqlError(
        "The database file cannot be opened",
        "SQLITE_CANTOPEN",
        undefined,
        14,
        failure,
      );
    }
  }
}
