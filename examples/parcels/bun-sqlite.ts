import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/bun-sqlite";

export function openDatabase(file: string) {
  const db = drizzle(file);
  db.run(sql`pragma journal_mode = wal`);
  // They are off by default.
  db.run(sql`pragma foreign_keys = on`);
  return db;
}
