import { sql } from "drizzle-orm";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import type { StepContext } from "../../src/engine/definition/step-definition.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { RunCancelledError, RunNotFoundError, RunTransitionError } from "../../src/errors.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { makeLogger, makeEngine, makeGate, numberStep } from "./support/engines.ts";
import { observe } from "./support/observed-store.ts";
import { fileUrl, openStore, stores } from "./support/stores.ts";

/** A step that waits until its signal aborts, and passes on the reason. */
function makeHangingStep() {
  const reached = makeGate<StepContext>();
  const stopped = makeGate<unknown>();
  const step = numberStep("hangs", async (value, ctx) => {
    reached.open(ctx);
    await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
    stopped.open(ctx.signal.reason);
    return value;
  });
  return { step, reached: reached.promise, stopped: stopped.promise };
}

describe.each(stores)("on %s", (_, open) => {
  test("cancel aborts the running step, is stored, and is not overwritten", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const { step, reached, stopped } = makeHangingStep();
    const after = numberStep("after", (value) => value);
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("before", (value) => value))
      .step(step)
      .step(after)
      .build();
    const running = engine.run(workflow, 1);
    const { runId } = await reached;
    await engine.cancel(runId);
    expect(await stopped).toBeInstanceOf(RunCancelledError);
    const run = await running;
    expect(run).toMatchObject({ status: "CANCELLED", output: null });
    expect(run.completedAt).toBeInstanceOf(Date);
    const steps = await store.listStepExecutions(runId);
    expect(steps.map(({ stepId, status }) => [stepId, status])).toEqual([
      ["before", "COMPLETED"],
      ["hangs", "CANCELLED"],
    ]);
    await engine.close();
    expect(await store.getRun(runId)).toEqual(run);
  });

  test("a step that is cancelled in its first milliseconds has a row and an attempt", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const begun = makeGate();
    const step = numberStep("s", () => {
      begun.open();
      return new Promise(() => {});
    });
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    engine.register(workflow);
    const runId = await engine.start(workflow, 1);
    void engine.work();
    await begun.promise;
    await engine.cancel(runId);
    const cancelled = { stepId: "s", status: "CANCELLED", attempt: 1 };
    expect(await store.listStepExecutions(runId)).toMatchObject([{ ...cancelled, input: 1 }]);
    expect(await store.listStepAttempts(runId)).toMatchObject([cancelled]);
  });

  test("an aborted `run` cancels its run on request, and otherwise leaves it", async () => {
    const store = await open();
    const engine = makeEngine(store);
    for (const cancelOnAbort of [true, false]) {
      const { step, reached } = makeHangingStep();
      const workflow = defineWorkflow({ id: `cancel ${cancelOnAbort}` })
        .step(step)
        .build();
      const aborter = new AbortController();
      const running = engine.run(workflow, 1, { signal: aborter.signal, cancelOnAbort });
      const { runId } = await reached;
      aborter.abort(new Error("the client has gone"));
      await expect(running).rejects.toThrow("the client has gone");
      const status = cancelOnAbort ? "CANCELLED" : "RUNNING";
      expect(await store.getRun(runId)).toMatchObject({ status });
    }
  });

  test("an abort during the start also cancels the run, and one before it starts none", async () => {
    const store = await open();
    const aborter = new AbortController();
    const slow = observe(store, async (operation, carryOut) => {
      if (operation === "createRun") aborter.abort(new Error("the client has gone"));
      return carryOut();
    });
    const engine = makeEngine(slow);
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("s", () => new Promise(() => {})))
      .build();
    const options = { signal: aborter.signal, cancelOnAbort: true };
    await expect(engine.run(workflow, 1, options)).rejects.toThrow("the client has gone");
    await expect(engine.run(workflow, 1, options)).rejects.toThrow("the client has gone");
    expect(await store.countRuns()).toMatchObject({ CANCELLED: 1, PENDING: 0, RUNNING: 0 });
  });

  test("an aborted `run` does not cancel the run of another call with its idempotency key", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const { step, reached } = makeHangingStep();
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    const [first, second] = [new AbortController(), new AbortController()];
    const own = { cancelOnAbort: true, idempotencyKey: "order-1" };
    const running = engine.run(workflow, 1, { ...own, signal: first.signal });
    const { runId } = await reached;
    const joined = engine.run(workflow, 1, { ...own, signal: second.signal });
    second.abort(new Error("the second client has gone"));
    await expect(joined).rejects.toThrow("the second client has gone");
    expect(await store.getRun(runId)).toMatchObject({ status: "RUNNING" });
    first.abort(new Error("the first client has gone"));
    await expect(running).rejects.toThrow("the first client has gone");
    expect(await store.getRun(runId)).toMatchObject({ status: "CANCELLED" });
  });

  test("a run that is cancelled in the store stops at its next write", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const proceed = makeGate();
    const reached = makeGate<string>();
    const step = (id: string) =>
      numberStep(id, async (value, { runId }) => {
        if (id !== "second") return value;
        reached.open(runId);
        await proceed.promise;
        return value;
      });
    const workflow = defineWorkflow({ id: "w" })
      .step(step("first"))
      .step(step("second"))
      .step(step("third"))
      .build();
    const running = engine.run(workflow, 1);
    const runId = await reached.promise;
    await store.updateRun(runId, { status: "CANCELLED" });
    proceed.open();
    expect(await running).toMatchObject({ status: "CANCELLED" });
    await engine.close();
    const steps = await store.listStepExecutions(runId);
    expect(steps.map(({ stepId, status }) => [stepId, status])).toEqual([
      ["first", "COMPLETED"],
      ["second", "CANCELLED"],
    ]);
  });

  test("cancel reaches a step of another worker at its heartbeat", async () => {
    const store = await open();
    const { step, reached, stopped } = makeHangingStep();
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    const worker = makeEngine(store, { leaseMs: 100 });
    void worker.run(workflow, 1).catch(() => {});
    const { runId } = await reached;
    await makeEngine(store).cancel(runId);
    expect(await stopped).toBeInstanceOf(RunCancelledError);
  });

  test("an unclaimed run can be cancelled and never runs", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("s", () => 0))
      .build();
    engine.register(workflow);
    const runId = await engine.start(workflow, 1);
    await engine.cancel(runId);
    expect(await engine.recover()).toBe(0);
    expect(await engine.wait(runId)).toMatchObject({ status: "CANCELLED", attempt: 0 });
  });

  test("a second cancel does nothing, and a completed or failed run stays unchanged", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("s", (value) => value))
      .build();
    const waiting = await engine.start(workflow, 1);
    await engine.cancel(waiting);
    const cancelled = await store.getRun(waiting);
    await engine.cancel(waiting);
    expect(await store.getRun(waiting)).toEqual(cancelled);

    const run = await engine.run(workflow, 1);
    await expect(engine.cancel(run.runId)).rejects.toThrow(RunTransitionError);
    expect((await store.getRun(run.runId)).status).toBe("COMPLETED");
    await expect(engine.cancel("nobody")).rejects.toThrow(RunNotFoundError);
  });

  test("cancel ends the wait for a retry", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const failed = makeGate<string>();
    const step = defineStep({
      id: "s",
      input: z.null(),
      output: z.null(),
      retry: { maxRetries: 9, delayMs: 3_600_000 },
      run: (__, { runId }) => {
        failed.open(runId);
        throw new Error("again");
      },
    });
    const running = engine.run(defineWorkflow({ id: "w" }).step(step).build(), null);
    const runId = await failed.promise;
    await engine.cancel(runId);
    expect(await running).toMatchObject({ status: "CANCELLED" });
    await engine.close();
  });

  test("runs that match are cancelled with their steps, as one run is", async () => {
    const store = await open();
    // It does not claim the run that waits.
    const engine = makeEngine(store, { concurrency: 1 });
    const { step, reached, stopped } = makeHangingStep();
    const running = engine.run(defineWorkflow({ id: "w" }).step(step).build(), 1);
    const { runId } = await reached;
    // The engine must not claim it.
    const wakeAt = new Date(Date.now() + 3_600_000);
    const waiting = await store.createRun({ workflowId: "w", wakeAt });
    await store.createStepExecution({ runId: waiting.runId, stepId: "s", status: "RETRYING" });
    await store.createRun({ runId: "other", workflowId: "other" });
    const finished: string[] = [];
    engine.on("run.finished", (event) => void finished.push(`${event.runId} ${event.status}`));
    expect(await engine.cancelRuns({ workflowId: "w" }, { dryRun: true })).toMatchObject({
      changedRuns: 2,
    });
    expect(await engine.cancelRuns({ workflowId: "w" })).toMatchObject({ changedRuns: 2 });
    expect(await stopped).toBeInstanceOf(RunCancelledError);
    expect(await running).toMatchObject({ status: "CANCELLED" });
    expect(finished.toSorted()).toEqual(
      [runId, waiting.runId].map((id) => `${id} CANCELLED`).toSorted(),
    );
    for (const id of [runId, waiting.runId]) {
      expect(await store.listStepExecutions(id)).toMatchObject([{ status: "CANCELLED" }]);
    }
    expect(await store.getRun("other")).toMatchObject({ status: "PENDING" });
  });

  test("the steps of many runs are cancelled in few batches", async () => {
    const inner = await open();
    let batches = 0;
    const store = observe(inner, async (operation, carryOut) => {
      if (operation === "batch") batches += 1;
      return carryOut();
    });
    const runs = Array.from({ length: 250 }, (__, index) => `run-${index}`);
    await inner.batch((write) => {
      for (const runId of runs) {
        write.createRun({ runId, workflowId: "w" });
        write.createStepExecution({ runId, stepId: "s", status: "RETRYING" });
      }
    });
    expect(await makeEngine(store).cancelRuns({}, { batchSize: 100 })).toMatchObject({
      changedRuns: 250,
    });
    expect(batches).toBe(3);
    const { bundles } = await inner.readBundles({ limit: 1000 });
    const statuses = bundles.flatMap(({ run, steps }) => [run, ...steps].map((row) => row.status));
    expect(new Set(statuses)).toEqual(new Set(["CANCELLED"]));
    expect(statuses.length).toBe(500);
  });

  test("a step can cancel its own run", async () => {
    const engine = makeEngine(await open());
    const step = numberStep("s", async (value, { runId }) => {
      await engine.cancel(runId);
      return value;
    });
    const run = await engine.run(defineWorkflow({ id: "w" }).step(step).build(), 1);
    expect(run).toMatchObject({ status: "CANCELLED", output: null });
  });

  test("a run that is retried before its steps are cancelled keeps the steps of its next worker", async () => {
    const inner = await open();
    const leaseMs = 30_000;
    const { runId } = await inner.createRun({ workflowId: "w" });
    await inner.claimRuns({ workerId: "first", leaseMs, limit: 1 });
    await inner.createStepExecution({ runId, stepId: "s", status: "RUNNING", attempt: 1 });
    const store = observe(inner, async (operation, carryOut) => {
      if (operation === "batch") {
        await inner.reopenRun(runId);
        await inner.claimRuns({ workerId: "second", leaseMs, limit: 1 });
        await inner.updateStepExecution(runId, "s", { status: "RUNNING", attempt: 2 });
      }
      return carryOut();
    });
    await makeEngine(store).cancel(runId);
    expect(await inner.listStepExecutions(runId)).toMatchObject([{ status: "RUNNING" }]);
    const attempts = await inner.listStepAttempts(runId);
    expect(attempts).toMatchObject([{ attempt: 1, status: "CANCELLED" }]);
  });

  test("a retry restarts all steps of a run whose steps were not cancelled", async () => {
    const store = await open();
    const calls: string[] = [];
    const step = <const Id extends string>(id: Id) =>
      numberStep(id, (value) => {
        calls.push(id);
        return value;
      });
    const workflow = defineWorkflow({ id: "w" }).parallel(step("a"), step("b")).build();
    const cancelled = { workflowId: "w", input: 1, status: "CANCELLED", attempt: 1 } as const;
    const { runId } = await store.createRun(cancelled);
    const row = { runId, attempt: 1, input: 1 };
    const failed = { ...row, stepId: "a", executionIndex: 0, status: "FAILED" as const };
    await store.createStepExecution(failed);
    await store.createStepExecution({ ...row, stepId: "b", executionIndex: 1, status: "RUNNING" });
    const engine = makeEngine(store).register(workflow);
    await engine.retry(runId);
    expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED" });
    expect(calls).toEqual(["a", "b"]);
  });

  test("a reopened run restarts its cancelled step", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const first = makeHangingStep();
    let calls = 0;
    const step = numberStep("s", async (value, ctx) => {
      calls += 1;
      if (calls > 1) return value + ctx.attempt;
      await first.step.invoke(value, ctx);
      return value;
    });
    const running = engine.run(defineWorkflow({ id: "w" }).step(step).build(), 1);
    const { runId } = await first.reached;
    await engine.cancel(runId);
    await running;
    await store.reopenRun(runId);
    expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED", output: 1 + 2 });
    expect(calls).toBe(2);
    expect(await store.listStepAttempts(runId)).toMatchObject([
      { attempt: 1, status: "CANCELLED" },
      { attempt: 2, status: "COMPLETED" },
    ]);
  });
});

test("a cancelled step stops within a quarter of the lease, even just after its claim", async () => {
  vi.useFakeTimers();
  try {
    const store = new MemoryStore();
    const { step, reached } = makeHangingStep();
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    const worker = makeEngine(store, { leaseMs: 1000 }).register(workflow);
    void worker.work();
    await vi.advanceTimersByTimeAsync(10);
    const runId = await worker.start(workflow, 1);
    const { signal } = await reached;
    // By then, the row of the step is written.
    await vi.advanceTimersByTimeAsync(20);
    await store.updateRun(runId, { status: "CANCELLED" });
    await vi.advanceTimersByTimeAsync(250);
    expect(signal.reason).toBeInstanceOf(RunCancelledError);
  } finally {
    vi.useRealTimers();
  }
});

test("cancel marks the running step even if the payload of another step is corrupt", async () => {
  const store = await openStore(await fileUrl());
  const engine = makeEngine(store);
  const { step, reached } = makeHangingStep();
  const before = numberStep("before", (value) => value);
  const running = engine.run(defineWorkflow({ id: "w" }).step(before).step(step).build(), 1);
  const { runId } = await reached;
  await store.db.run(sql`update step_executions set input = '{' where step_id = 'before'`);
  await engine.cancel(runId);
  expect(await running).toMatchObject({ status: "CANCELLED" });
  const steps = await store.listStepExecutions(runId, { payloads: false });
  expect(steps.map(({ status }) => status)).toEqual(["COMPLETED", "CANCELLED"]);
});

test("a step that cannot be cancelled does not keep the steps of other runs from it", async () => {
  const store = await openStore(await fileUrl());
  for (const runId of ["a", "b", "c"]) {
    await store.createRun({ runId, workflowId: "w" });
    await store.createStepExecution({ runId, stepId: "s", status: "RETRYING" });
  }
  await store.db.run(sql`create trigger no before update on step_executions when old.run_id = 'b'
    begin select raise(abort, 'not allowed'); end`);
  const logger = makeLogger();
  const report = await makeEngine(store, { logger }).cancelRuns({});
  expect(report).toMatchObject({ changedRuns: 3, refusedRuns: 0 });
  const statusOf = async (runId: string) => (await store.getStepExecution(runId, "s")).status;
  expect(await Promise.all(["a", "b", "c"].map(statusOf))).toEqual([
    "CANCELLED",
    "RETRYING",
    "CANCELLED",
  ]);
  expect(logger.reports).toMatchObject([{ level: "warn", fields: { runId: "b" } }]);
});

test("cancel aborts a step whose transaction locks the database", async () => {
  const url = await fileUrl();
  const store = await LibSQLStore.open({ url, busyTimeoutMs: 50 });
  onTestFinished(() => store.close());
  const begun = makeGate();
  const step = defineStep({
    id: "s",
    input: z.number(),
    output: z.number(),
    run: (_, ctx) =>
      ctx.transaction(() => {
        begun.open();
        return new Promise<number>(() => {});
      }),
  });
  const engine = makeEngine(store);
  const running = engine.run(defineWorkflow({ id: "w" }).step(step).build(), 1);
  await begun.promise;
  const [{ runId } = { runId: "" }] = (await store.listRuns()).runs;
  await engine.cancel(runId);
  expect(await running).toMatchObject({ status: "CANCELLED" });
  expect(await store.listStepExecutions(runId)).toMatchObject([{ status: "CANCELLED" }]);
  expect(await store.listStepAttempts(runId)).toMatchObject([{ attempt: 1, status: "CANCELLED" }]);
});
