import { LibraryDatabase, type SyncDatabase } from "./sync-database.ts";

/** The parts of a `Database` of bun:sqlite that we use. */
export interface BunSQLiteClient {
  readonly inTransaction: boolean;
  prepare(sql: string): BunSQLiteStatement;
  exec(sql: string): unknown;
}

interface BunSQLiteStatement {
  readonly columnNames: readonly string[];
  values(...args: unknown[]): unknown[][];
  /** Since Bun 1.1.14. */
  safeIntegers?(enabled: boolean): unknown;
  run(...args: unknown[]): { readonly changes: number };
}

/** Uses a database of bun:sqlite. */
export function useBunSQLite(client: BunSQLiteClient): SyncDatabase {
  return new LibraryDatabase({
    prepare(sql) {
      const statement = client.prepare(sql);
      if (statement.columnNames.length === 0) {
        return { change: (args) => statement.run(...args).changes };
      }
      // The app may read integers as `bigint`.
      statement.safeIntegers?.(false);
      return {
        all: (args) => statement.values(...args),
        get: (args) => statement.values(...args)[0],
      };
    },
    exec: (sql) => void client.exec(sql),
    isInTransaction() {
      try {
        return client.inTransaction;
      } catch {
        // Only a closed database throws.
        return null;
      }
    },
  });
}
