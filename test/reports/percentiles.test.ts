import { afterAll, beforeAll, expect, test } from "vitest";
import { runDurations } from "../../src/reports/run-durations.ts";
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
