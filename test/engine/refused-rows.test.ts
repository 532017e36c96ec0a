import { sql } from "drizzle-orm";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import type { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { makeEngine, numberStep } from "./support/engines.ts";
import { databases, fileUrl, openStore } from "./support/stores.ts";

/** A store whose app refuses what `trigger` says, as in `insert on step_executions when new.step_id = 'a'`. */
async function refusing(trigger: string): Promise<LibSQLStore> {
  const store = await openStore(await fileUrl());
  const refuse = `create trigger no before ${trigger} begin select raise(abort, 'not allowed'); end`;
  await store.db.run(sql.raw(refuse));
  return store;
}

const refused = { name: "ConstraintError", code: "CONSTRAINT" };

/** A step that takes longer than it takes to store its row. */
const slowStep = (calls: unknown[]) =>
  numberStep("slow", async (value, { attempt, signal }) => {
    calls.push(attempt);
    await sleep(200, undefined, { signal }).catch(() => {});
    return value;
  });

test.each(["fast", "slow"])(
  "a run fails with the constraint that refuses the row of its %s first step, which does not run again",
  async (stepId) => {
    const store = await refusing("insert on step_executions");
    const calls: unknown[] = [];
    const fast = defineStep({
      id: "fast",
      input: z.number(),
      output: z.number(),
      retry: { maxRetries: 3, delayMs: 0 },
      run: (value, { attempt }) => {
        calls.push(attempt);
        return value;
      },
    });
    const workflow = defineWorkflow({ id: "w" })
      .step(stepId === "fast" ? fast : slowStep(calls))
      .build();
    const engine = makeEngine(store, { leaseMs: 400 });
    const run = await engine.run(workflow, 1);
    expect(run).toMatchObject({ status: "FAILED", attempt: 1, error: refused });
    expect(calls).toEqual([1]);
    expect(await store.listStepExecutions(run.runId)).toEqual([]);
    await store.db.run(sql`drop trigger no`);
    await engine.retry(run.runId);
    expect(await engine.wait(run.runId)).toMatchObject({ status: "COMPLETED" });
    expect(calls).toEqual([1, 2]);
  },
);

test("a run fails with the constraint that refuses the row of a retry", async () => {
  const store = await refusing("update on step_executions when new.attempt = 2");
  const calls: number[] = [];
  const step = defineStep({
    id: "s",
    input: z.number(),
    output: z.number(),
    retry: { maxRetries: 3, delayMs: 0 },
    run: (_, { attempt }) => {
      calls.push(attempt);
      throw new Error("no");
    },
  });
  const engine = makeEngine(store, { leaseMs: 400 });
  const run = await engine.run(defineWorkflow({ id: "w" }).step(step).build(), 1);
  expect(run).toMatchObject({ status: "FAILED", attempt: 1, error: refused });
  expect(calls).toEqual([1]);
  expect(await store.listStepExecutions(run.runId)).toMatchObject([{ status: "CANCELLED" }]);
});

test.each([
  ["returns a number", numberStep("first", (value) => value + 1)],
  [
    "uses a transaction",
    defineStep({
      id: "first",
      input: z.number(),
      output: z.number(),
      retry: { maxRetries: 2, delayMs: 0 },
      run: (value, ctx) => ctx.transaction(async () => value + 1),
    }),
  ],
])("a step that %s does not fail because of the row of the next step", async (_, first) => {
  const store = await refusing("insert on step_executions when new.step_id = 'next'");
  const next = numberStep("next", (value) => value * 10);
  const engine = makeEngine(store, { leaseMs: 400 });
  const events: string[] = [];
  engine.on("step.finished", ({ stepId, status }) => void events.push(`${stepId} ${status}`));
  const run = await engine.run(defineWorkflow({ id: "w" }).step(first).step(next).build(), 1);
  expect(run).toMatchObject({ status: "FAILED", attempt: 1, progress: 0.5, error: refused });
  expect(run.error).not.toHaveProperty("stepId");
  expect(events).toEqual(["first COMPLETED"]);
  expect(await store.listStepExecutions(run.runId)).toMatchObject([
    { stepId: "first", status: "COMPLETED", attempt: 1 },
  ]);
  expect(await store.loadStepOutput(run.runId, "first")).toBe(2);
  await store.db.run(sql`drop trigger no`);
  await engine.retry(run.runId);
  expect(await engine.wait(run.runId)).toMatchObject({ status: "COMPLETED", output: 20 });
});

test("a step does not fail because of the row of a parallel step", async () => {
  const store = await refusing("insert on step_executions when new.step_id = 'slow'");
  const calls: unknown[] = [];
  const workflow = defineWorkflow({ id: "w" })
    .parallel(
      numberStep("fast", (value) => value),
      slowStep(calls),
    )
    .build();
  const engine = makeEngine(store, { leaseMs: 400 });
  const run = await engine.run(workflow, 1);
  expect(run).toMatchObject({ status: "FAILED", attempt: 1, error: refused });
  expect(calls).toEqual([1]);
  expect(await store.listStepExecutions(run.runId)).toMatchObject([
    { stepId: "fast", status: "COMPLETED" },
  ]);
  // The attempt that began without a row keeps its number.
  await store.db.run(sql`drop trigger no`);
  await engine.retry(run.runId);
  expect(await engine.wait(run.runId)).toMatchObject({ status: "COMPLETED" });
  expect(calls).toEqual([1, 2]);
});

test("a run whose row is refused does not wait for the retry of a parallel step", async () => {
  const store = await refusing("insert on step_executions when new.step_id = 'slow'");
  const failing = defineStep({
    id: "failing",
    input: z.number(),
    output: z.number(),
    retry: { maxRetries: 1, delayMs: 3_600_000 },
    run: () => {
      throw new Error("no");
    },
  });
  const workflow = defineWorkflow({ id: "w" }).parallel(failing, slowStep([])).build();
  const run = await makeEngine(store).run(workflow, 1);
  expect(run).toMatchObject({ status: "FAILED", attempt: 1, error: refused });
});

test("a run that cannot even be failed executes no step after too many lost leases", async () => {
  const store = await refusing("insert on step_executions");
  await store.db.run(
    sql`create trigger never before update on workflow_runs when new.status = 'FAILED'
      begin select raise(abort, 'not allowed'); end`,
  );
  const calls: unknown[] = [];
  const workflow = defineWorkflow({ id: "w", maxLostLeases: 2 })
    .step(
      numberStep("s", (value, { attempt }) => {
        calls.push(attempt);
        return value;
      }),
    )
    .build();
  const engine = makeEngine(store, { leaseMs: 200 });
  const runId = await engine.start(workflow, 1);
  engine.register(workflow);
  const working = engine.work();
  await expect
    .poll(async () => (await store.getRun(runId)).attempt, { timeout: 20_000 })
    .toBeGreaterThan(4);
  expect(await store.getRun(runId)).toMatchObject({ status: "RUNNING" });
  expect(calls).toHaveLength(2);
  await engine.close();
  await working;
});

test("a step fails with the constraint that refuses its end", async () => {
  const store = await refusing("insert on step_outputs when new.step_id = 'first'");
  const first = numberStep("first", (value) => value);
  const next = numberStep("next", (value) => value);
  const run = await makeEngine(store).run(
    defineWorkflow({ id: "w" }).step(first).step(next).build(),
    1,
  );
  expect(run).toMatchObject({ status: "FAILED", error: { ...refused, stepId: "first" } });
  expect(await store.listStepExecutions(run.runId)).toMatchObject([{ status: "FAILED" }]);
});

test("a run fails with the constraint that refuses its completion, and its last step is not tried again", async () => {
  const store = await refusing("update on workflow_runs when new.status = 'COMPLETED'");
  const calls: number[] = [];
  const step = defineStep({
    id: "s",
    input: z.number(),
    output: z.number(),
    retry: { maxRetries: 3, delayMs: 0 },
    run: (value, { attempt }) => {
      calls.push(attempt);
      return value;
    },
  });
  const run = await makeEngine(store).run(defineWorkflow({ id: "w" }).step(step).build(), 1);
  expect(run).toMatchObject({ status: "FAILED", progress: 0, error: refused });
  expect(await store.listStepExecutions(run.runId)).toMatchObject([{ status: "COMPLETED" }]);
  expect(calls).toEqual([1]);
});

describe.each(databases)("on %s", (_, makeUrl) => {
  test("runs whose claim a constraint refuses do not keep other runs from being claimed", async () => {
    const store = await openStore(await makeUrl());
    await store.db.run(
      sql`create unique index one_at_a_time on workflow_runs (resource_id) where status = 'RUNNING'`,
    );
    const active = new Map<string, number>();
    const step = numberStep("s", async (value, { runId }) => {
      const { resourceId } = await store.getRun(runId);
      const before = active.get(resourceId ?? "") ?? 0;
      active.set(resourceId ?? "", before + 1);
      await sleep(5);
      active.set(resourceId ?? "", before);
      return before + value;
    });
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    const engine = makeEngine(store, { concurrency: 2 });
    const starts = ["a", "a", "a", "a", "b"].map((resourceId) =>
      engine.start(workflow, 0, { resourceId }),
    );
    engine.register(workflow);
    const runs = await Promise.all((await Promise.all(starts)).map((runId) => engine.wait(runId)));
    expect(runs).toMatchObject(runs.map(() => ({ status: "COMPLETED", output: 0, attempt: 1 })));
  });

  test("a claim of refused runs alone names the constraint", async () => {
    const store = await openStore(await makeUrl());
    await store.db.run(sql`create trigger no before update on workflow_runs
      begin select raise(abort, 'not allowed'); end`);
    await store.createRun({ workflowId: "w" });
    const claim = { workerId: "a", leaseMs: 1000, limit: 5 };
    await expect(store.claimRuns(claim)).rejects.toMatchObject({ code: "CONSTRAINT" });
    await store.db.run(sql`drop trigger no`);
    expect(await store.claimRuns(claim)).toMatchObject([{ attempt: 1 }]);
  });
});
