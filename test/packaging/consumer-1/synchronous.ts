// An app on a synchronous driver. It is compiled on both versions of Drizzle, and not run.
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { SQLiteStore, type AppDatabase, type WorkflowStore } from "gorkflow";
import { doctor, migrate } from "gorkflow/migrations";
import { createWorkflowTables } from "gorkflow/schema";

const orders = sqliteTable("orders", { orderId: integer("order_id").primaryKey() });
const db = drizzle({ client: new Database(":memory:") });
const tables = createWorkflowTables().$type<{ Input: { readonly n: number } }>();

export async function start(): Promise<number | undefined> {
  await migrate(db);
  const report = await doctor(db);
  if (!report.healthy) return undefined;
  const store = new SQLiteStore(db, { tables });
  db.transaction((tx) => {
    tx.insert(orders).values({ orderId: 1 }).run();
    store.statements.createRun({ runId: "r", workflowId: "w" }).run();
  });
  // @ts-expect-error transactions of a synchronous driver cannot be shared
  store.withTransaction(db);
  const { input } = await store.getRun("r");
  return input?.n;
}

export const makeStore = (of: AppDatabase): WorkflowStore => new SQLiteStore(of);
