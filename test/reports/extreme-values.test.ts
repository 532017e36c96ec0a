import { sql } from "drizzle-orm";
import { expect, test } from "vitest";
import {
  errorCodes,
  queueDepth,
  runDurations,
  slowestSteps,
  stepDurations,
  stepErrorCodes,
  stepReliability,
} from "../../src/reports/index.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";

test("rows with extreme durations and attempts do not affect the figures of other rows", async () => {
  const store = await LibSQLStore.open(":memory:");
  for (const workflowId of ["extreme", "usual"]) {
    const at = { createdAt: new Date(0), startedAt: new Date(0), completedAt: new Date(50) };
    for (const runId of [`${workflowId}-1`, `${workflowId}-2`]) {
      await store.createRun({ runId, workflowId, status: "COMPLETED", ...at });
      const step = { runId, stepId: "s", executionIndex: 0, attempt: 3, durationMs: 50 } as const;
      await store.createStepExecution({ ...step, status: "COMPLETED", ...at });
    }
  }
  const most = "9223372036854775807";
  await store.db.run(
    sql.raw(
      `update workflow_runs set started_at = -${most}, completed_at = ${most} where workflow_id = 'extreme'`,
    ),
  );
  await store.db.run(
    sql.raw(
      `update step_executions set duration_ms = ${most}, attempt = ${most} where run_id like 'extreme%'`,
    ),
  );
  const usual = { workflowId: "usual" };
  expect(await runDurations(store.db)).toContainEqual(
    expect.objectContaining({ ...usual, runs: 2, maxMs: 50 }),
  );
  expect(await stepDurations(store.db)).toContainEqual(
    expect.objectContaining({ ...usual, executions: 2, maxMs: 50 }),
  );
  expect(await stepReliability(store.db)).toContainEqual(
    expect.objectContaining({ ...usual, executions: 2, retries: 4 }),
  );
  expect(await slowestSteps(store.db)).toContainEqual(
    expect.objectContaining({ ...usual, runId: "usual-1", durationMs: 50 }),
  );
  await store.close();
});

test("different error codes are counted separately, and none is rounded", async () => {
  const store = await LibSQLStore.open(":memory:");
  const codes = ["1", '"1"', '"\\"1\\""', "true", '"true"', "12345678901234567890", "1.5", "null"];
  for (const [index, code] of codes.entries()) {
    const run = { runId: `r${index}`, workflowId: "w", status: "FAILED" } as const;
    await store.createRun({ ...run, completedAt: new Date(0), error: {} });
    const step = { runId: run.runId, stepId: "s", status: "FAILED" } as const;
    await store.createStepExecution({ ...step, completedAt: new Date(0), error: {} });
    for (const table of ["workflow_runs", "step_executions"]) {
      await store.db.run(
        sql`update ${sql.raw(table)} set error = ${`{"code":${code}}`} where run_id = ${run.runId}`,
      );
    }
  }
  const expected = [null, '"1"', '"\\"1\\""', '"true"', "1", "1.5", "12345678901234567890", "true"];
  const runs = await errorCodes(store.db);
  const ones = new Map(expected.map((code) => [code, 1]));
  expect(new Map(runs.map(({ code, runs: count }) => [code, count]))).toEqual(ones);
  const steps = await stepErrorCodes(store.db);
  expect(new Map(steps.map(({ code, executions }) => [code, executions]))).toEqual(ones);
  await store.close();
});

test("a report reads the runs of the tags that a list reads", async () => {
  const store = await LibSQLStore.open(":memory:");
  await store.createRun({ workflowId: "w" });
  await store.createRun({ workflowId: "w", tags: { "$gorkflow.bytes": "AAAA" } });
  for (const tags of [{}, { "$gorkflow.bytes": "AAAA" }]) {
    const { PENDING } = await store.countRuns({ tags });
    expect(await queueDepth(store.db, { tags })).toMatchObject([{ ready: PENDING }]);
  }
  await store.close();
});
