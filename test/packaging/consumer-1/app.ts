// What an app on Drizzle 1.0 does with the package. Compiled and run in a project of its own.
import { count, defineRelations, defineRelationsPart, eq, getTableName } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { createInsertSchema } from "drizzle-orm/zod";
import { defineStep, defineWorkflow, Engine, LibSQLStore } from "gorkflow";
import { createClient } from "gorkflow/client";
import { doctor, migrate, migrationStatus } from "gorkflow/migrations";
import { createWorkflowRelationsPart, workflowRelations } from "gorkflow/relations";
import { runDurations, slowestSteps, throughput } from "gorkflow/reports";
import {
  createWorkflowTables,
  schema,
  stepExecutions,
  workflowRuns,
  type NewWorkflowRun,
  type StepStatus,
  type WorkflowRun,
} from "gorkflow/schema";
import { z } from "zod";

const orders = sqliteTable("orders", {
  orderId: text("order_id").primaryKey(),
  runId: text("run_id").references(() => workflowRuns.runId),
});
const relations = {
  ...defineRelations({ ...schema, orders }, (r) => ({
    orders: { run: r.one.workflowRuns({ from: r.orders.runId, to: r.workflowRuns.runId }) },
  })),
  ...workflowRelations,
};

async function useOwnDatabase(url: string) {
  const client = createClient(url);
  await migrate(client);
  await client.execute("create table orders (order_id text primary key, run_id text)");
  const db = drizzle({ client, relations });
  const store = new LibSQLStore(db);
  await db.transaction(async (tx) => {
    await store.withTransaction(tx).createRun({ workflowId: "ship", runId: "with-order" });
    await tx.insert(orders).values({ orderId: "o1", runId: "with-order" });
  });
  await db.batch([
    store.statements.createStepExecution({ runId: "with-order", stepId: "s" }),
    store.statements.guard(),
  ]);
  const run: WorkflowRun = await store.getRun("with-order");
  const [counted] = await db
    .select({ runs: count() })
    .from(workflowRuns)
    .where(eq(workflowRuns.workflowId, run.workflowId));
  const created: { readonly workflowId: string; readonly created: number }[] = await throughput(db)
    .where((row) => eq(row.workflowId, run.workflowId))
    .limit(1);
  const durations = runDurations(db).as("durations");
  const joined = await db
    .select({ id: orders.orderId, p95: durations.p95Ms })
    .from(orders)
    .leftJoin(durations, eq(durations.workflowId, orders.runId));
  const p95: number | null | undefined = joined[0]?.p95;
  const status: StepStatus | undefined = (await slowestSteps(db))[0]?.status;
  const order = await db.query.orders.findFirst({ with: { run: { with: { steps: true } } } });
  const steps: string[] = (order?.run?.steps ?? []).map(({ stepId }) => stepId);
  const ofStep = await db.query.stepExecutions.findFirst({ with: { run: true } });
  const workflowId: string | undefined = ofStep?.run.workflowId;
  const insertable = createInsertSchema(stepExecutions).parse({ runId: "r", stepId: "s" });
  const found = { pending: (await migrationStatus(client)).pending, ...(await doctor(client)) };
  client.close();
  return {
    runs: counted?.runs,
    created: created[0]?.created,
    p95,
    status,
    steps,
    workflowId,
    insertable,
    found,
  };
}

interface Trace {
  readonly traceId: string;
}
const tables = createWorkflowTables<
  { Tags: Record<"customer", string>; Context: Trace; State: number },
  "app_"
>({
  prefix: "app_",
});

async function useOwnTables(url: string) {
  const client = createClient(url);
  const db = drizzle({ client, relations: createWorkflowRelationsPart(tables) });
  await migrate(client);
  for (const table of Object.values(tables).map(getTableName)) {
    await client.execute(`alter table ${table.slice("app_".length)} rename to ${table}`);
  }
  const store = new LibSQLStore(db, { tables });
  const { runId } = await store.createRun({
    workflowId: "ship",
    tags: { customer: "acme" },
    context: { traceId: "t" },
  });
  await store.saveState(runId, "weight", 12);
  const [run] = await db.query.workflowRuns.findMany({ with: { state: true } });
  const customer: string | undefined = run?.tags?.customer;
  const traceId: string | undefined = run?.context?.traceId;
  const weights: number[] = (run?.state ?? []).map(({ value }) => value);
  client.close();
  return { customer, traceId, weights };
}

const add = defineStep({
  id: "add",
  input: z.object({ a: z.number() }),
  output: z.number(),
  run: ({ a }, ctx) =>
    ctx.transaction(async (tx) => {
      await tx.insert(orders).values({ orderId: `o${a}` });
      return a + 1;
    }),
});
const calc = defineWorkflow({ id: "calc", version: "1" }).step(add).build();

/** A database that the store opens, with relations of the app's own. */
async function openWithRelations(url: string) {
  const own = defineRelationsPart({ orders }, () => ({ orders: {} }));
  const store = await LibSQLStore.open({ url, drizzle: { relations: own } });
  await store.db.run("create table orders (order_id text primary key, run_id text)");
  const engine = new Engine(store);
  engine.register(calc);
  const run = await engine.run(calc, { a: 1 });
  await engine.close();
  const [stored] = await store.db.query.workflowRuns.findMany({ with: { steps: true } });
  const status: StepStatus | undefined = stored?.steps[0]?.status;
  const order = await store.db.query.orders.findFirst();
  await store.close();
  return { output: run.output, status, orderId: order?.orderId };
}

export async function mistakes(store: LibSQLStore): Promise<void> {
  // @ts-expect-error a status is one of five
  const run: NewWorkflowRun = { workflowId: "w", status: "DONE" };
  // @ts-expect-error there is no such column
  void workflowRuns.payload;
  // @ts-expect-error there is no such relation
  await store.db.query.workflowRuns.findMany({ with: { parcels: true } });
  // @ts-expect-error the app said that runs carry a trace
  const untraced: typeof tables.workflowRuns.$inferInsert = { workflowId: "w", context: {} };
  // @ts-expect-error a bucket is an hour, a day, a week or a month
  throughput(store.db, { per: "year" });
  void [run, untraced];
}

const answers = {
  own: await useOwnDatabase("file:./app-1.db"),
  typed: await useOwnTables("file:./typed-1.db"),
  opened: await openWithRelations("file:./opened-1.db"),
};
console.log(JSON.stringify(answers));
