import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import type { StepContext } from "../../src/engine/definition/step-definition.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { RunTimeoutError } from "../../src/errors.ts";
import { makeClock, makeEngine, makeGate, numberStep } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

const identity = numberStep("s", (value) => value);
const quick = defineWorkflow({ id: "w" }).step(identity).build();

/** A step that ends when its signal aborts, and passes on the reason. */
function makeEndless() {
  const reached = makeGate<StepContext>();
  const stopped = makeGate<unknown>();
  const step = numberStep("endless", async (value, ctx) => {
    reached.open(ctx);
    await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
    stopped.open(ctx.signal.reason);
    return value;
  });
  return { step, reached: reached.promise, stopped: stopped.promise };
}

describe.each(stores)("on %s", (_, open) => {
  test("a run that exceeds its time limit fails, and its step's signal has the reason", async () => {
    const store = await open();
    const { step, stopped } = makeEndless();
    const workflow = defineWorkflow({ id: "w" })
      .step(identity)
      .step(step)
      .step(numberStep("after", (value) => value))
      .build();
    const run = await makeEngine(store).run(workflow, 1, { timeoutMs: 500 });
    expect(run).toMatchObject({
      status: "FAILED",
      error: { name: "RunTimeoutError", code: "RUN_TIMEOUT" },
      leaseExpiresAt: null,
    });
    expect(await stopped).toBeInstanceOf(RunTimeoutError);
    const steps = await store.listStepExecutions(run.runId);
    expect(steps.map(({ stepId, status }) => [stepId, status])).toEqual([
      ["s", "COMPLETED"],
      ["endless", "CANCELLED"],
    ]);
  });

  test("a step that ignores its signal does not keep the run from failing", async () => {
    const store = await open();
    const proceed = makeGate();
    const workflow = defineWorkflow({ id: "w" })
      .step(
        numberStep("deaf", async (value) => {
          await proceed.promise;
          return value;
        }),
      )
      .build();
    const run = await makeEngine(store).run(workflow, 1, { timeoutMs: 30 });
    expect(run).toMatchObject({ status: "FAILED", error: { code: "RUN_TIMEOUT" } });
    proceed.open();
    expect(await store.getRun(run.runId)).toEqual(run);
  });

  test("the time limit of the workflow counts from the start of the run, unless the start has one", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const engine = makeEngine(store, { clock });
    const limited = defineWorkflow({ id: "w", timeoutMs: 5000 }).step(identity).build();
    const at = (ms: number) => new Date(clock().getTime() + ms);
    const deadlineOf = async (options: Parameters<typeof engine.start>[2]) =>
      (await store.getRun(await engine.start(limited, 1, options))).deadlineAt;
    expect(await deadlineOf({})).toEqual(at(5000));
    expect(await deadlineOf({ timeoutMs: 10 })).toEqual(at(10));
    expect(await deadlineOf({ startAt: at(1000) })).toEqual(at(6000));
    expect(await deadlineOf({ deadlineAt: at(3000) })).toEqual(at(3000));
    expect(await deadlineOf({ deadlineAt: at(3000), timeoutMs: 2000 })).toEqual(at(2000));
    await expect(
      engine.start(limited, 1, { startAt: at(10), deadlineAt: at(10) }),
    ).rejects.toMatchObject({ code: "INVALID_ARGUMENT", argument: "options.deadlineAt" });
    expect((await store.getRun(await engine.start(quick, 1))).deadlineAt).toBeNull();
  });

  test("a run that is claimed after its deadline fails and runs nothing", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const calls: number[] = [];
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("s", (value) => calls.push(value)))
      .build();
    const engine = makeEngine(store, { clock });
    engine.register(workflow);
    const runId = await engine.start(workflow, 1, { timeoutMs: 1000 });
    clock.advance(1000);
    expect(await engine.recover()).toBe(1);
    expect(await store.getRun(runId)).toMatchObject({
      status: "FAILED",
      error: { code: "RUN_TIMEOUT" },
    });
    expect(calls).toEqual([]);
  });

  test("a run that sleeps beyond its deadline fails at the deadline", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const workflow = defineWorkflow({ id: "w" })
      .step(
        numberStep("s", async (value, ctx) => {
          await ctx.sleep(3_600_000);
          return value;
        }),
      )
      .build();
    const engine = makeEngine(store, { clock });
    engine.register(workflow);
    const deadlineAt = new Date(clock().getTime() + 60_000);
    const runId = await engine.start(workflow, 1, { deadlineAt });
    expect(await engine.recover()).toBe(0);
    expect(await store.getRun(runId)).toMatchObject({ status: "PENDING", wakeAt: deadlineAt });
    clock.advance(60_000);
    expect(await engine.recover()).toBe(1);
    expect(await store.getRun(runId)).toMatchObject({ status: "FAILED" });
    expect(await store.listStepExecutions(runId)).toMatchObject([{ status: "CANCELLED" }]);
  });

  test("a run that ends in time leaves no timer", async () => {
    const store = await open();
    const set = vi.spyOn(globalThis, "setTimeout");
    const clear = vi.spyOn(globalThis, "clearTimeout");
    try {
      const run = await makeEngine(store).run(quick, 1, { timeoutMs: 2 ** 31 + 5 });
      expect(run).toMatchObject({ status: "COMPLETED", output: 1 });
      const long = set.mock.results.filter(
        (_result, at) => (set.mock.calls[at]?.[1] ?? 0) > 2 ** 30,
      );
      expect(long).toHaveLength(1);
      expect(clear).toHaveBeenCalledWith(long[0]?.value);
    } finally {
      set.mockRestore();
      clear.mockRestore();
    }
  });

  test("a run that timed out has its time limit again after each retry", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const at = (ms: number) => new Date(clock().getTime() + ms);
    const { step, reached } = makeEndless();
    const limited = defineWorkflow({ id: "limited", timeoutMs: 5000 }).step(step).build();
    const free = defineWorkflow({ id: "free" }).step(step).build();
    const engine = makeEngine(store, { clock });
    const started = await Promise.all([
      engine.start(limited, 1),
      engine.start(limited, 1, { timeoutMs: 7000 }),
      engine.start(limited, 1, { startAt: at(1000), deadlineAt: at(4000) }),
      engine.start(free, 1),
    ]);
    clock.advance(10_000);
    engine.register(limited);
    expect(await engine.recover()).toBe(3);
    // It would continue to claim, and could claim a reopened run.
    await engine.close();
    await store.updateRun(started[3], { status: "FAILED" });
    for (let time = 0; time < 2; time++) {
      clock.advance(60_000);
      for (const runId of started) {
        expect((await store.getRun(runId)).status).toBe("FAILED");
        await store.reopenRun(runId);
      }
      const deadlines = await Promise.all(
        started.map(async (runId) => (await store.getRun(runId)).deadlineAt),
      );
      expect(deadlines).toEqual([at(5000), at(7000), at(3000), null]);
      for (const runId of started) await store.updateRun(runId, { status: "FAILED" });
    }
    const next = makeEngine(store, { clock }).register(limited).register(free);
    await next.retry(started[0]);
    void next.work();
    expect((await reached).runId).toBe(started[0]);
  });

  test("a run that timed out can be retried until it completes within its time limit", async () => {
    const store = await open();
    let healthy = false;
    const step = defineStep({
      id: "s",
      input: z.number(),
      output: z.number(),
      run: async (value, { signal }) => {
        if (healthy) return value;
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        return -1;
      },
    });
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    const engine = makeEngine(store);
    const { runId, status } = await engine.run(workflow, 1, { timeoutMs: 300 });
    expect(status).toBe("FAILED");
    await engine.retry(runId);
    expect(await engine.wait(runId)).toMatchObject({ status: "FAILED" });
    healthy = true;
    await engine.retry(runId);
    const run = await engine.wait(runId);
    expect(run).toMatchObject({ status: "COMPLETED", output: 1, error: null });
    expect(run.deadlineAt?.getTime()).toBeGreaterThan(run.completedAt?.getTime() ?? Infinity);
  });
});
