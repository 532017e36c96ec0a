import BetterSQLite3 from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import LibSQL from "libsql";

/** True if this version of Node can load the binding of better-sqlite3. Older ones would end. */
export const hasBetterSQLite3 = Number(process.versions.node.split(".")[0]) >= 22;

/**
 * Opens a database of better-sqlite3. By default it has a write-ahead log. On older versions of Node it is one of the package libsql,
 * which has the same interface.
 */
export function openBetterSQLite3(file: string, journalMode = "wal"): BetterSQLite3.Database {
  const Database = hasBetterSQLite3 ? BetterSQLite3 : (LibSQL as unknown as typeof BetterSQLite3);
  const client = new Database(file);
  client.exec(
    `pragma busy_timeout = 5000; pragma journal_mode = ${journalMode}; pragma foreign_keys = on`,
  );
  return client;
}

export function drizzleOn(client: BetterSQLite3.Database) {
  return drizzle({ client });
}
