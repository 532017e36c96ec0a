// npm run demo && tsx examples/notebook/main.ts [DATABASE_URL]
//
// An analyst's questions about a week of orders, cell after cell. The database is only read, and the workers that use it
// are not disturbed.
import { and, avg, count, desc, eq, gte, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { createReader } from "gorkflow/client";
import { errorCodes, reliabilityOverTime, slowestSteps, stepFunnel } from "gorkflow/reports";
import { stepExecutions, workflowRuns } from "gorkflow/schema";

const [url = "file:./workflows.db"] = process.argv.slice(2);
const db = drizzle({ client: createReader({ url, timeoutMs: 60_000 }) });
const since = new Date(Date.now() - 7 * 24 * 60 * 60 * 1000);
const orders = { workflowId: "fulfil-order", since };

console.log("1. Which countries order, and how many of their orders fail?");
const country = sql`json_extract(${workflowRuns.tags}, '$.country')`.mapWith(String);
const failed = sql`avg(${workflowRuns.status} = 'FAILED')`.mapWith(Number);
const byCountry = await db
  .select({ country, runs: count(), failed })
  .from(workflowRuns)
  .where(gte(workflowRuns.createdAt, since))
  .groupBy(country)
  .orderBy(desc(count()));
console.table(
  byCountry.map((row) => ({ country: row.country, runs: row.runs, failed: percent(row.failed) })),
);

console.log("2. Where do orders get stuck?");
const funnel = await stepFunnel(db, orders);
console.table(funnel.map(({ stepId, reached, completed }) => ({ stepId, reached, completed })));

console.log("3. What goes wrong?");
for (const { code, name, runs } of await errorCodes(db, orders)) {
  console.log(`   ${runs} × ${code ?? name}`);
}

console.log("4. Do failures get rarer?");
for (const day of await reliabilityOverTime(db, { ...orders, per: "day" })) {
  console.log(`   ${day.bucketStart.toISOString().slice(0, 10)}  ${percent(day.failureRate ?? 0)}`);
}

console.log("5. Is the slowest step slow for everybody?");
const [slowest] = await slowestSteps(db, orders).limit(1);
if (slowest !== undefined) {
  const [average] = await db
    .select({ ms: avg(stepExecutions.durationMs).mapWith(Math.round) })
    .from(stepExecutions)
    .innerJoin(workflowRuns, eq(workflowRuns.runId, stepExecutions.runId))
    .where(
      and(
        eq(stepExecutions.stepId, slowest.stepId),
        eq(workflowRuns.workflowId, orders.workflowId),
      ),
    );
  console.log(`   ${slowest.stepId}: ${slowest.durationMs} ms once, ${average?.ms} ms on average`);
}

db.$client.close();

function percent(share: number) {
  return `${Math.round(share * 100)} %`;
}
