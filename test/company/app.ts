import type { Client } from "@libsql/client";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { workflowRuns } from "../../src/schema/tables.ts";

/** Rows of the app that go with their run. */
export const orders = sqliteTable("orders", {
  orderId: integer("order_id").primaryKey(),
  runId: text("run_id").references(() => workflowRuns.runId, { onDelete: "cascade" }),
  note: text("note"),
});

/** Rows of the app that stay when their run goes. */
export const notes = sqliteTable("notes", {
  noteId: integer("note_id").primaryKey(),
  runId: text("run_id").references(() => workflowRuns.runId, { onDelete: "set null" }),
});

/** What the app and its triggers did. */
export const auditEntries = sqliteTable("audit", {
  entry: integer("entry").primaryKey({ autoIncrement: true }),
  what: text("what").notNull(),
});

export const appDefinitions: readonly string[] = [
  "create table orders (order_id integer primary key, run_id text references workflow_runs(run_id) on delete cascade, note text)",
  "create table notes (note_id integer primary key, run_id text references workflow_runs(run_id) on delete set null)",
  "create table pins (run_id text primary key references workflow_runs(run_id) on delete restrict)",
  "create table audit (entry integer primary key autoincrement, what text not null)",
];

/** The indexes, triggers and views that a sequence adds have names that begin with `app_`. */
const appObjects =
  "select type, name from sqlite_schema where name glob 'app_*' and type in ('index', 'trigger', 'view')";

/** The statements that remove what a sequence has added. */
export async function resetScript(client: Pick<Client, "execute">): Promise<string[]> {
  const { rows } = await client.execute(appObjects);
  return [
    ...rows.map((row) => `drop ${row[0] as string} ${row[1] as string}`),
    "delete from pins",
    "delete from notes",
    "delete from orders",
    "delete from workflow_runs",
    "delete from workflow_pauses",
    "delete from audit",
  ];
}
