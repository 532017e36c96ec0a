import { DriverError } from "./driver-error.ts";
import { LibraryDatabase, type SyncDatabase } from "./sync-database.ts";

/** The parts of a `Database` of better-sqlite3 that we use. */
export interface BetterSQLite3Client {
  readonly open: boolean;
  readonly inTransaction: boolean;
  prepare(sql: string): BetterSQLite3Statement;
  exec(sql: string): unknown;
}

interface BetterSQLite3Statement {
  readonly reader: boolean;
  raw(): unknown;
  safeIntegers(enabled: boolean): unknown;
  all(args: readonly unknown[]): unknown[];
  get(args: readonly unknown[]): unknown;
  run(args: readonly unknown[]): { readonly changes: number };
}

type Row = readonly unknown[];

/** Uses a database of better-sqlite3. */
export function useBetterSQLite3(client: BetterSQLite3Client): SyncDatabase {
  return new LibraryDatabase({
    prepare(sql) {
      const statement = attempt(() => client.prepare(sql));
      if (!statement.reader) {
        return { change: (args) => attempt(() => statement.run(args).changes) };
      }
      statement.raw();
      // The app may read integers as `bigint` by default.
      statement.safeIntegers(false);
      return {
        all: (args) => attempt(() => statement.all(args)) as Row[],
        get: (args) => attempt(() => statement.get(args)) as Row | undefined,
      };
    },
    exec: (sql) => void attempt(() => client.exec(sql)),
    isInTransaction: () => (client.open ? client.inTransaction : null),
  });
}

/** While the app iterates over the rows of a query, the library refuses writes with an error of its own. */
function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TypeError) || !error.message.includes("busy executing a query")) {
      throw error;
    }
    throw new DriverError(error.message, "SQLITE_BUSY", error);
  }
}
