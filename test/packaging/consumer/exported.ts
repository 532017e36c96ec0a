// Values that an app on Drizzle 0.45 exports. The compiler writes their types into its declarations, and so has to be able
// to name them.
import { drizzle } from "drizzle-orm/libsql";
import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import {
  defineStep,
  defineWorkflow,
  Engine,
  LibSQLStore,
  MemoryStore,
  SQLiteStore,
} from "gorkflow";
import { createClient } from "gorkflow/client";
import { throughput, workers } from "gorkflow/reports";
import { createWorkflowRelations, createWorkflowTables, schema } from "gorkflow/schema";
import { z } from "zod";

export const orders = sqliteTable("orders", { orderId: text("order_id").primaryKey() });
export const appSchema = { ...schema, orders };
export const db = drizzle({ client: createClient(":memory:"), schema: appSchema });
export const store = new LibSQLStore(db);
export const anyStore = new SQLiteStore(db);
export const tables = createWorkflowTables({ prefix: "app_" }).$type<{ Input: number }>();
export const relations = createWorkflowRelations(tables);
export const create = store.statements.createRun({ workflowId: "w" });
export const opened = () => LibSQLStore.open(":memory:");
export const pruned = () => new MemoryStore().pruneRuns({ olderThan: new Date() });
export const refused = async () => (await pruned()).refused;
export const created = throughput(db);
export const held = workers(db).as("held");

export const add = defineStep({
  id: "add",
  input: z.object({ a: z.number() }),
  output: z.number(),
  run: ({ a }) => a + 1,
});
export const { retry } = add;
export const calc = defineWorkflow({ id: "calc" }).step(add).build();
export const { plan } = calc;
export const engine = new Engine(store).register(calc);
export const start = () => db.transaction((tx) => engine.start(calc, { a: 1 }, { tx }));
export const wait = () => engine.wait(calc, "id");
export const stepEvents: Parameters<Parameters<typeof engine.on<"step.started">>[1]>[0][] = [];
export const [firstEvent] = stepEvents;
