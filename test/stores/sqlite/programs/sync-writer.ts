// Writes on a synchronous driver until it is killed, beside the app's own transactions. Sends the id of each
// acknowledged run. Argument: the file of the database.
import { defineStep } from "../../../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../../../src/engine/definition/workflow-builder.ts";
import { Engine } from "../../../../src/engine/engine.ts";
import { SQLiteStore } from "../../../../src/stores/sqlite/sqlite-store.ts";
import { drizzleOn, openBetterSQLite3 } from "../../../support/better-sqlite3.ts";
import { z } from "zod";

const [file = ""] = process.argv.slice(2);
const client = openBetterSQLite3(file);
const db = drizzleOn(client);
const store = new SQLiteStore(db);
const step = defineStep({ id: "s", input: z.number(), output: z.number(), run: (n) => n + 1 });
const workflow = defineWorkflow({ id: "w", maxLostLeases: 1000 }).step(step).build();
const engine = new Engine(store, { leaseMs: 400, concurrency: 4 }).register(workflow);
void engine.work();

async function startRuns(): Promise<void> {
  for (let n = 0; ; n++) {
    const runId = crypto.randomUUID();
    const orderId = crypto.randomUUID();
    const place = () => {
      client.prepare("insert into orders (order_id, run_id) values (?, ?)").run([orderId, runId]);
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
