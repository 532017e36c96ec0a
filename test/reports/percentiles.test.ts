import { afterAll, beforeAll, expect, test } from "vitest";
import { durationsOverTime } from "../../src/reports/durations-over-time.ts";
import { bucketStartOf } from "../../src/reports/query/buckets.ts";
import { queueLatency } from "../../src/reports/queue-latency.ts";
import { runDurations } from "../../src/reports/run-durations.ts";
import { stepDurations } from "../../src/reports/step-durations.ts";
import { workflowVersions } from "../../src/reports/workflow-versions.ts";
import { workflowRuns } from "../../src/schema/tables.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";

const largest = 200;

let store: LibSQLStore;
beforeAll(async () => {
  store = await LibSQLStore.open(":memory:");
  // One workflow for each n, with n runs that took 1, 2, … n milliseconds.
  await store.db.$client.execute(
    `insert into workflow_runs (run_id, workflow_id, status, created_at, started_at, completed_at, updated_at)
     with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < ${largest})
     select format('%d/%d', size.n, ms.n), cast(size.n as text), 'COMPLETED', 0, 0, ms.n, 0
     from numbers as size join numbers as ms on ms.n <= size.n`,
  );
});
afterAll(() => store.close());

test("for any number of runs, a percentile is the value at the nearest rank, also at its border", async () => {
  const rows = await runDurations(store.db);
  const rank = (percent: number, n: number) => Math.ceil((percent * n) / 100);
  const expected = Array.from({ length: largest }, (_, index) => index + 1).map((n) => ({
    workflowId: String(n),
    runs: n,
    p50Ms: rank(50, n),
    p90Ms: rank(90, n),
    p95Ms: rank(95, n),
    p99Ms: rank(99, n),
    maxMs: n,
  }));
  expect(rows.toSorted((a, b) => a.runs - b.runs)).toEqual(expected);
});

test("the percentiles of many executions are exact, also if their sample misleads", async () => {
  const { $client: client } = store.db;
  // The sample is each 31st row.
  const executions = 31 * 310;
  const durations = {
    skewed: "600000 / (1 + n * 7919 % 65536)",
    equal: "7",
    rising: "n",
    "low sample": "iif(n % 31 = 0, 1, 1000 + n)",
    "high sample": "iif(n % 31 = 0, 100000, n)",
    "other sample": "iif(n % 31 = 0, n, iif(n % 20 = 0, 50000, 10))",
    "mostly equal": "iif(n % 16 = 0, n, 7)",
    "high middle": "iif(n % 31 = 0, iif(n % 20 = 0, 90000 + n, 7), iif(n % 20 = 0, 100 + n, 7))",
  };
  const numbers = `with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < ${executions})`;
  await client.execute(
    `insert into workflow_runs (run_id, workflow_id, created_at, updated_at) ${numbers} select n, 'steps', 0, 0 from numbers`,
  );
  for (const [stepId, duration] of Object.entries(durations)) {
    await client.execute(
      `insert into step_executions (run_id, step_id, status, duration_ms, completed_at, created_at, updated_at, workflow_id)
       ${numbers} select n, '${stepId}', 'COMPLETED', ${duration}, 0, 0, 0, 'steps' from numbers`,
    );
  }
  const rows = await stepDurations(store.db);
  expect(rows.map(({ stepId }) => stepId)).toEqual(Object.keys(durations).toSorted());
  for (const { stepId, ...row } of rows) {
    const at = async (percent: number) => {
      const found = await client.execute({
        sql: "select duration_ms from step_executions where step_id = ? order by duration_ms limit 1 offset ?",
        args: [stepId, Math.ceil((percent * executions) / 100) - 1],
      });
      return found.rows[0]?.[0];
    };
    expect({ stepId, ...row }).toEqual({
      stepId,
      workflowId: "steps",
      executions,
      p50Ms: await at(50),
      p90Ms: await at(90),
      p95Ms: await at(95),
      p99Ms: await at(99),
      maxMs: await at(100),
    });
  }
});

test("the percentiles of many runs are exact, also of negative, large and absent durations", async () => {
  const { $client: client } = store.db;
  const runs = 31 * 310;
  const durations = {
    negative: "n - 6000",
    "mostly negative": "iif(n % 20 = 0, n, -n)",
    large: "n * 400000000000",
    "often absent": "iif(n % 2 = 0, null, n * 7919 % 65536)",
    "absent outside the sample": "iif(n % 31 = 0, n, null)",
    "absent in the sample": "iif(n % 31 = 0, null, n)",
    "misleading sample": "iif(n % 31 = 0, 100000, n)",
    "seldom absent": "iif(n % 100 = 0, null, n)",
    absent: "null",
  };
  for (const [workflowId, duration] of Object.entries(durations)) {
    await client.execute(
      `insert into workflow_runs (rowid, run_id, workflow_id, status, created_at, started_at, completed_at, updated_at)
       with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < ${runs})
       select (select max(rowid) from workflow_runs) / 31 * 31 + 31 + n, '${workflowId}' || n, '${workflowId}', 'COMPLETED', t, t + d, t + 2 * d, 0
       from (select n, 0 as t, ${duration} as d from numbers)`,
    );
  }
  const queued = await queueLatency(store.db);
  const took = await runDurations(store.db);
  const versions = await workflowVersions(store.db);
  for (const workflowId of Object.keys(durations)) {
    const { rows } = await client.execute({
      sql: "select max(0, started_at - created_at) from workflow_runs where workflow_id = ? and started_at is not null order by 1",
      args: [workflowId],
    });
    const sorted = rows.map((row) => row[0]);
    const at = (percent: number) => sorted[Math.ceil((percent * sorted.length) / 100) - 1] ?? null;
    const percentiles = {
      p50Ms: at(50),
      p90Ms: at(90),
      p95Ms: at(95),
      p99Ms: at(99),
      maxMs: at(100),
    };
    const isOwn = (row: { readonly workflowId: string }) => row.workflowId === workflowId;
    const expected =
      sorted.length === 0 ? [] : [{ workflowId, runs: sorted.length, ...percentiles }];
    expect(queued.filter(isOwn)).toEqual(expected);
    expect(took.filter(isOwn)).toEqual(expected);
    expect(versions.filter(isOwn)).toMatchObject([{ workflowId, runs, ...percentiles }]);
  }
});

test("runs of one day are ranked together, also of several statuses and if clocks return to the day before", async () => {
  // At 0:01, clocks were set back to 23:01.
  const [zone, changed] = ["America/St_Johns", Date.UTC(2010, 10, 7, 2, 31)];
  const runs = Array.from({ length: 400 }, (_, n) => {
    const completedAt = changed + (n - 200) * 60_000;
    return {
      runId: `changed-${n}`,
      workflowId: "clocks",
      status: n % 3 === 0 ? ("FAILED" as const) : ("COMPLETED" as const),
      startedAt: new Date(completedAt - ((n * 7919) % 1009) + 10),
      completedAt: new Date(completedAt),
    };
  });
  for (let index = 0; index < runs.length; index += 100) {
    await store.db.insert(workflowRuns).values(runs.slice(index, index + 100));
  }
  const dayOf = (at: Date) => bucketStartOf(at.getTime(), { zone });
  const days = [...new Set(runs.map(({ completedAt }) => dayOf(completedAt)))];
  expect(days).toHaveLength(2);
  const expected = days.map((bucketStart) => {
    const ofDay = runs.filter(({ completedAt }) => dayOf(completedAt) === bucketStart);
    const durations = ofDay
      .map(({ startedAt, completedAt }) => Math.max(0, completedAt.getTime() - startedAt.getTime()))
      .toSorted((a, b) => a - b);
    const at = (percent: number) => durations[Math.ceil((percent * durations.length) / 100) - 1];
    return {
      bucketStart: new Date(bucketStart),
      workflowId: "clocks",
      runs: ofDay.length,
      p50Ms: at(50),
      p90Ms: at(90),
      p95Ms: at(95),
      p99Ms: at(99),
      maxMs: at(100),
    };
  });
  const options = { zone, workflowId: "clocks" };
  const status = ["FAILED", "COMPLETED", "FAILED"] as const;
  expect(await durationsOverTime(store.db, { ...options, status })).toEqual(expected);
});
