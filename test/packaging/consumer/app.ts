// An app with its own table beside ours, a workflow, a transaction with both, and a report. A test compiles and runs it
// against the packed package.
import { count, eq, getTableName } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import {
  defineStep,
  defineWorkflow,
  Engine,
  LibSQLStore,
  MemoryStore,
  openStore,
  RunNotFoundError,
  type WorkflowStore,
} from "gorkflow";
import { createClient } from "gorkflow/client";
import { doctor, migrate, migrationStatus } from "gorkflow/migrations";
import { throughput } from "gorkflow/reports";
import { createWorkflowTables, schema, workflowRuns, type WorkflowRun } from "gorkflow/schema";
import { z } from "zod";
import { useOwnTables } from "./own-tables.js";

const add = defineStep({
  id: "add",
  input: z.object({ a: z.number(), b: z.number() }),
  output: z.object({ sum: z.number() }),
  run: async ({ a, b }) => ({ sum: a + b }),
});
const double = defineStep({
  id: "double",
  input: z.object({ sum: z.number() }),
  output: z.number(),
  run: ({ sum }) => sum * 2,
});
const calc = defineWorkflow({ id: "calc", version: "1" }).step(add).step(double).build();

async function calculate(store: WorkflowStore): Promise<unknown> {
  const engine = new Engine(store);
  engine.register(calc);
  const run = await engine.run(calc, { a: 1, b: 2 });
  await engine.close();
  return run.output;
}

const orders = sqliteTable("orders", { orderId: text("order_id").primaryKey() });

/** The app's own database: the app applies our migrations and writes to both in one transaction. */
async function useOwnDatabase(url: string) {
  const client = createClient(url);
  await migrate(client);
  await client.execute("create table orders (order_id text primary key)");
  const db = drizzle({ client, schema: { ...schema, orders } });
  const store = new LibSQLStore(db);
  await db.transaction(async (tx) => {
    await tx.insert(orders).values({ orderId: "o1" });
    await store.withTransaction(tx).createRun({ workflowId: "calc", runId: "with-order" });
  });
  const run: WorkflowRun = await store.getRun("with-order");
  const [counted] = await db
    .select({ runs: count() })
    .from(workflowRuns)
    .where(eq(workflowRuns.workflowId, run.workflowId));
  const created: { readonly workflowId: string; readonly created: number }[] = await throughput(db)
    .where((row) => eq(row.workflowId, run.workflowId))
    .limit(1);
  const status = await migrationStatus(client);
  const report = await doctor(client);
  client.close();
  return {
    runs: counted?.runs,
    pending: status.pending,
    findings: report.findings,
    created: created[0]?.created,
  };
}

const file = await openStore("file:./workflows.db");
const missing = await file.getRun("missing").catch((error: unknown) => error);
const answers = {
  memory: await calculate(new MemoryStore()),
  file: await calculate(file),
  missing: missing instanceof RunNotFoundError && missing.code,
  own: await useOwnDatabase("file:./app.db"),
  prefixed: getTableName(createWorkflowTables({ prefix: "app_" }).workflowRuns),
  typed: await useOwnTables("file:./typed.db"),
};
await file.close();
console.log(JSON.stringify(answers));
