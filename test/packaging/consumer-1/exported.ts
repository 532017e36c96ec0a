// Values that an app on Drizzle 1.0 exports. The compiler writes their types into its declarations, and so has to be able
// to name them.
import { defineRelations } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { LibSQLStore, SQLiteStore } from "gorkflow";
import { createClient } from "gorkflow/client";
import { createWorkflowRelationsPart, workflowRelations } from "gorkflow/relations";
import { throughput, workers } from "gorkflow/reports";
import { createWorkflowTables, schema } from "gorkflow/schema";

export const orders = sqliteTable("orders", { orderId: text("order_id").primaryKey() });
export const appSchema = { ...schema, orders };
export const relations = { ...defineRelations({ orders }), ...workflowRelations };
export const db = drizzle({ client: createClient(":memory:"), relations });
export const store = new LibSQLStore(db);
export const anyStore = new SQLiteStore(db);
export const tables = createWorkflowTables({ prefix: "app_" }).$type<{ Input: number }>();
export const part = createWorkflowRelationsPart(tables);
export const create = store.statements.createRun({ workflowId: "w" });
export const created = throughput(db);
export const held = workers(db).as("held");
