import type { BunSQLiteClient } from "../../src/drivers/bun-sqlite.ts";
import type { AppDatabase } from "../../src/drizzle-types.ts";

type BunDatabase = BunSQLiteClient & { close(): void };

interface BunSQLite {
  readonly Database: new (path: string, options: object) => BunDatabase;
}

// Only Bun has these modules, and no types of them are installed.
const module = "bun:sqlite";
const driver = "drizzle-orm/bun-sqlite";

/** Integers are `bigint` for the app. */
export async function openBunDatabase(path: string, journalMode = "wal"): Promise<BunDatabase> {
  const { Database } = (await import(module)) as BunSQLite;
  const client = new Database(path, { create: true, safeIntegers: true });
  // They are off by default.
  client.exec(`pragma foreign_keys = on; pragma journal_mode = ${journalMode}`);
  return client;
}

export async function drizzleOn(client: BunDatabase): Promise<AppDatabase> {
  const { drizzle } = (await import(driver)) as {
    drizzle: (config: { client: BunDatabase }) => AppDatabase;
  };
  return drizzle({ client });
}
