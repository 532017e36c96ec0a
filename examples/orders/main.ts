// npm run demo [-- [--studio] [DATABASE_URL [ORDERS_FILE]]]
//
// Runs a workflow for each order of a file, stores the runs in a libSQL database, and queries them with typed SQL.
// A second call does nothing twice. With --studio, they are shown in a browser until Ctrl-C.
import { fileURLToPath } from "node:url";
import { Engine, LibSQLStore } from "gorkflow";
import { stepExecutions, workflowRuns } from "gorkflow/schema";
import { avg, count, desc, eq, isNotNull, max, sum } from "drizzle-orm";
import { readOrders } from "./order-file.ts";
import { showProgress } from "./progress.ts";
import { showStudio } from "./studio.ts";
import { fulfilOrder } from "./workflow.ts";

const [
  url = "file:./workflows.db",
  file = fileURLToPath(new URL("orders.jsonl", import.meta.url)),
] = process.argv.slice(2).filter((argument) => argument !== "--studio");

const { orders, unreadableLines } = await readOrders(file);
console.log(
  `${orders.length} orders; lines without a JSON object: ${unreadableLines.join(", ") || "none"}`,
);

const store = await LibSQLStore.open(url);
const engine = new Engine(store, { concurrency: 25 });
engine.register(fulfilOrder);

const before = await finishedRuns();
const runIds = await Promise.all(
  orders.map((order) =>
    // With this key, a second start of the same order returns its first run.
    engine.start(fulfilOrder, order, {
      idempotencyKey: String(order["orderId"]),
      tags: { country: String(order["country"]) },
    }),
  ),
);

const progress = showProgress(orders.length);
const showDone = async () => progress.update(await finishedRuns());
const timer = setInterval(() => void showDone(), 50);
await Promise.all(runIds.map((runId) => engine.wait(runId)));
clearInterval(timer);
await showDone();
progress.stop();
await engine.close();

const after = await finishedRuns();
console.log(`\n${after - before} runs were carried out now, ${before} had been before.`);

console.log("\nRuns by status");
console.table(
  await store.db
    .select({ status: workflowRuns.status, runs: count() })
    .from(workflowRuns)
    .groupBy(workflowRuns.status),
);

console.log("Slowest steps");
console.table(
  await store.db
    .select({
      step: stepExecutions.stepId,
      executions: count(),
      attempts: sum(stepExecutions.attempt).mapWith(Number),
      averageMs: avg(stepExecutions.durationMs).mapWith(Math.round),
      slowestMs: max(stepExecutions.durationMs),
    })
    .from(stepExecutions)
    .where(isNotNull(stepExecutions.durationMs))
    .groupBy(stepExecutions.stepId)
    .orderBy(desc(avg(stepExecutions.durationMs))),
);

const [failed] = await store.db
  .select({ runId: workflowRuns.runId, error: workflowRuns.error })
  .from(workflowRuns)
  .where(eq(workflowRuns.status, "FAILED"))
  .limit(1);
if (failed !== undefined) console.log("One that failed:", failed.error);

if (url.startsWith("file:")) {
  console.log(`
The same with any SQLite shell:

  sqlite3 ${url.slice("file:".length)} "select status, count(*) from workflow_runs group by status"
  sqlite3 ${url.slice("file:".length)} "select step_id, count(*), avg(duration_ms), max(duration_ms) from step_executions group by step_id order by 3 desc"`);
}
if (process.argv.includes("--studio")) await showStudio(store);
await store.close();

async function finishedRuns(): Promise<number> {
  const { COMPLETED, FAILED, CANCELLED } = await store.countRuns({ workflowId: fulfilOrder.id });
  return COMPLETED + FAILED + CANCELLED;
}
