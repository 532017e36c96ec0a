// What an app does with the package, on every platform.
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { defineStep, defineWorkflow, Engine, LibSQLStore, MemoryStore } from "gorkflow";
import { createClient } from "gorkflow/client";
import { doctor, migrate } from "gorkflow/migrations";
import { throughput } from "gorkflow/reports";
import { workflowRuns } from "gorkflow/schema";
import { z } from "zod";

type Store = LibSQLStore | MemoryStore;

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
const calculate = defineWorkflow({ id: "calculate", version: "1" }).step(add).step(double).build();

async function runOn(store: Store): Promise<unknown> {
  const engine = new Engine(store);
  const run = await engine.run(calculate, { a: 1, b: 2 });
  await engine.close();
  return run.output;
}

async function useFile(url: string): Promise<object> {
  const store = await LibSQLStore.open(url);
  const output = await runOn(store);
  const { runId } = await store.createRun({ workflowId: "w", input: { list: [1, { a: null }] } });
  const { input } = await store.getRun(runId);
  const again = await store.createRun({ workflowId: "w", runId }).catch(codeOf);
  // Reads in another thread.
  const [report] = await throughput(store.reporting).where((row) =>
    eq(row.workflowId, "calculate"),
  );
  await store.close();
  return { output, input, again, completed: report?.completed };
}

const orders = sqliteTable("orders", { orderId: text("order_id").primaryKey() });

async function useOwnDatabase(url: string): Promise<object> {
  const client = createClient(url);
  await migrate(client);
  await client.execute("create table orders (order_id text primary key)");
  const db = drizzle({ client });
  const store = new LibSQLStore(db);
  await db.transaction(async (tx) => {
    await tx.insert(orders).values({ orderId: "o" });
    await store.withTransaction(tx).createRun({ runId: "kept", workflowId: "w" });
  });
  const failed = await db
    .transaction(async (tx) => {
      await store.withTransaction(tx).createRun({ runId: "undone", workflowId: "w" });
      await tx.insert(orders).values({ orderId: "o" });
    })
    .catch(() => "failed");
  await db.batch([store.statements.saveState("kept", "k", 1), store.statements.guard()]);
  const guarded = await db
    .batch([store.statements.saveState("none", "k", 1), store.statements.guard()])
    .catch(() => "failed");
  const runs = await db.select({ runId: workflowRuns.runId }).from(workflowRuns);
  const state = await store.getAllState("kept");
  const { healthy } = await doctor(client);
  client.close();
  return { failed, guarded, runs, state, healthy };
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : error;
}

let files = 0;

/** Uses new files of the folder; always returns `expectedAnswers`. */
export async function useEverything(folder: string): Promise<object> {
  const name = `${folder}/${Date.now()}-${files++}`;
  return {
    memory: await runOn(new MemoryStore()),
    file: await useFile(`file:${name}-file.db`),
    own: await useOwnDatabase(`file:${name}-own.db`),
  };
}

export const expectedAnswers = {
  memory: 6,
  file: {
    output: 6,
    input: { list: [1, { a: null }] },
    again: "RUN_ALREADY_EXISTS",
    completed: 1,
  },
  own: {
    failed: "failed",
    guarded: "failed",
    runs: [{ runId: "kept" }],
    state: { k: 1 },
    healthy: true,
  },
};
