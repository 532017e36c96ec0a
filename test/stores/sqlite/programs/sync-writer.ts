// Writes on a synchronous driver until it is killed, beside the app's own transactions: on bun:sqlite in Bun, otherwise on
// better-sqlite3. Sends the id of each acknowledged run. Argument: the file of the database.
import { defineStep } from "../../../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../../../src/engine/definition/workflow-builder.ts";
import { Engine } from "../../../../src/engine/engine.ts";
import { SQLiteStore } from "../../../../src/stores/sqlite/sqlite-store.ts";
import { z } from "zod";

const [file = ""] = process.argv.slice(2);
const { client, db } = "Bun" in globalThis ? await openInBun() : await openInNode();
const store = new SQLiteStore(db);
const step = defineStep({ id: "s", input: z.number(), output: z.number(), run: (n) => n + 1 });
const workflow = defineWorkflow({ id: "w", maxLostLeases: 1000 }).step(step).build();
const engine = new Engine(store, { leaseMs: 400, concurrency: 4 }).register(workflow);
void engine.work();

async function openInNode() {
  const { drizzleOn, openBetterSQLite3 } = await import("../../../support/better-sqlite3.ts");
  const database = openBetterSQLite3(file);
  return { client: database, db: drizzleOn(database) };
}

async function openInBun() {
  const { drizzleOn, openBunDatabase } = await import("../../../support/bun-sqlite.ts");
  const database = await openBunDatabase(file);
  database.exec("pragma busy_timeout = 5000");
  // Its types are not installed.
  type Db = Awaited<ReturnType<typeof openInNode>>["db"];
  return { client: database, db: (await drizzleOn(database)) as unknown as Db };
}

async function startRuns(): Promise<void> {
  for (let n = 0; ; n++) {
    const runId = crypto.randomUUID();
    const orderId = crypto.randomUUID();
    const place = () => {
      client.prepare("insert into orders (order_id, run_id) values (?, ?)").run(orderId, runId);
      store.statements.createRun({ runId, workflowId: "w", input: n }).run();
      store.statements.guard().run();
    };
    db.transaction(place, { behavior: "immediate" });
    const alone = await store.createRun({ workflowId: "other", input: n });
    process.send?.({ started: runId, created: alone.runId });
    await engine.wait(runId);
    process.send?.({ finished: runId });
  }
}

await Promise.all([startRuns(), startRuns(), startRuns()]);
