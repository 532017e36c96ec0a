import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";

export function openDatabase(file: string) {
  const db = drizzle(file);
  db.run(sql`pragma journal_mode = wal`);
  return db;
}
