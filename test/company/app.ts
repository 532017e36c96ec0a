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

export const appDefinitions: readonly string[] = [
  "create table orders (order_id integer primary key, run_id text references workflow_runs(run_id) on delete cascade, note text)",
  "create table notes (note_id integer primary key, run_id text references workflow_runs(run_id) on delete set null)",
  "create table pins (run_id text primary key references workflow_runs(run_id) on delete restrict)",
  "create table audit (entry integer primary key autoincrement, what text not null)",
];

/** The indexes, triggers and views that a sequence adds have names that begin with `app_`. */
export const appObjects =
  "select type, name from sqlite_schema where name glob 'app_*' and type in ('index', 'trigger', 'view')";
