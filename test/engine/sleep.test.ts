import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import type { StepContext } from "../../src/engine/definition/step-definition.ts";
import { defineWorkflow, type Workflow } from "../../src/engine/definition/workflow-builder.ts";
import { StepSleepingError } from "../../src/errors.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { makeClock, makeEngine, makeGate, numberStep } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

const hour = 3_600_000;
const later = (clock: () => Date, ms: number) => new Date(clock().getTime() + ms);

/** The number of runs that a new worker ends. */
async function workOff(
  store: WorkflowStore,
  clock: () => Date,
  workflow: Workflow,
): Promise<number> {
  const engine = makeEngine(store, { clock });
  engine.register(workflow);
  const ended = await engine.recover();
  await engine.close();
  return ended;
}

const one = (run: (value: number, ctx: StepContext) => Promise<number>) =>
  defineWorkflow({ id: "w" }).step(numberStep("s", run)).build();

describe.each(stores)("on %s", (_, open) => {
  test("a sleeping step leaves its worker, and any worker restarts it at the end of the sleep", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const calls: string[] = [];
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("before", (value) => value + 1))
      .step(
        numberStep("sleeper", async (value, ctx) => {
          calls.push(`begun ${ctx.attempt}`);
          await ctx.sleep(hour);
          calls.push("woken");
          return value * 2;
        }),
      )
      .build();
    const runId = await makeEngine(store, { clock }).start(workflow, 1);
    expect(await workOff(store, clock, workflow)).toBe(0);
    const wakeAt = later(clock, hour);
    expect(await store.getRun(runId)).toMatchObject({
      status: "PENDING",
      wakeAt,
      workerId: null,
      leaseExpiresAt: null,
      progress: 0.5,
    });
    expect(await store.getStepExecution(runId, "sleeper")).toMatchObject({
      status: "RUNNING",
      attempt: 1,
      sleepCount: 1,
      wakeAt,
      completedAt: null,
    });
    clock.advance(hour - 1);
    expect(await workOff(store, clock, workflow)).toBe(0);
    expect(calls).toEqual(["begun 1"]);
    clock.advance(1);
    expect(await workOff(store, clock, workflow)).toBe(1);
    expect(calls).toEqual(["begun 1", "begun 1", "woken"]);
    expect(await store.getRun(runId)).toMatchObject({
      status: "COMPLETED",
      output: 4,
      wakeAt: null,
    });
    expect(await store.getStepExecution(runId, "sleeper")).toMatchObject({
      status: "COMPLETED",
      attempt: 1,
      wakeAt: null,
      durationMs: hour,
    });
  });

  test("each sleep happens once, in order, even if the attempt fails", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const calls: string[] = [];
    const workflow = defineWorkflow({ id: "w" })
      .step(
        defineStep({
          id: "s",
          input: z.number(),
          output: z.number(),
          retry: { maxRetries: 1, delayMs: 0 },
          run: async (value, ctx) => {
            await ctx.sleep(hour);
            calls.push(`one ${ctx.attempt}`);
            await ctx.sleep(later(clock, 2 * hour));
            calls.push(`two ${ctx.attempt}`);
            if (ctx.attempt === 1) throw new Error("again");
            return value;
          },
        }),
      )
      .build();
    const runId = await makeEngine(store, { clock }).start(workflow, 1);
    const waits: unknown[] = [];
    for (let round = 0; round < 5; round++) {
      if ((await workOff(store, clock, workflow)) === 1) break;
      const { wakeAt } = await store.getRun(runId);
      waits.push((wakeAt?.getTime() ?? 0) - clock().getTime());
      clock.advance(Number(waits.at(-1)));
    }
    expect(waits).toEqual([hour, 2 * hour]);
    expect(calls).toEqual(["one 1", "one 1", "two 1", "one 2", "two 2"]);
    expect(await store.getRun(runId)).toMatchObject({ status: "COMPLETED" });
  });

  test("a short sleep keeps the run with its worker", async () => {
    const store = await open();
    const reasons: unknown[] = [];
    const cleaned: number[] = [];
    const workflow = one(async (value, ctx) => {
      ctx.signal.addEventListener("abort", () => reasons.push(ctx.signal.reason));
      try {
        await ctx.sleep(30);
      } finally {
        cleaned.push(value);
      }
      return value + 1;
    });
    const began = Date.now();
    const run = await makeEngine(store).run(workflow, 1);
    expect(run).toMatchObject({ status: "COMPLETED", output: 2, attempt: 1 });
    expect(Date.now() - began).toBeGreaterThanOrEqual(29);
    // The call that slept ran its cleanup, and the next call ended normally.
    expect(reasons).toEqual([expect.any(StepSleepingError)]);
    expect(cleaned).toEqual([1, 1]);
  });

  test("a worker claims its released run at the end of the sleep without polling", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const engine = makeEngine(store, { clock });
    const workflow = one(async (value, ctx) => {
      await ctx.sleep(6000);
      return value + 1;
    });
    const running = engine.run(workflow, 1);
    await expect
      .poll(async () => (await store.listRuns({ status: "PENDING" })).runs[0]?.wakeAt)
      .toEqual(later(clock, 6000));
    clock.advance(6000);
    expect(await running).toMatchObject({ status: "COMPLETED", output: 2, attempt: 2 });
  });

  test("listeners get the end of a sleep and the restart of the step", async () => {
    const engine = makeEngine(await open());
    const events: unknown[][] = [];
    engine.on("step.started", ({ attempt }) => void events.push(["started", attempt]));
    engine.on("step.sleeping", ({ attempt, until }) => void events.push([until, attempt]));
    engine.on("step.finished", ({ attempt, status }) => void events.push([status, attempt]));
    let until: Date | null = null;
    const workflow = one(async (value, ctx) => {
      until ??= new Date(Date.now() + 20);
      await ctx.sleep(until);
      return value;
    });
    await engine.run(workflow, 1);
    expect(events).toEqual([
      ["started", 1],
      [until, 1],
      ["started", 1],
      ["COMPLETED", 1],
    ]);
  });

  test("a step sleeps even if it does not await the call or catches its error", async () => {
    const store = await open();
    let calls = 0;
    const workflow = one(async (value, ctx) => {
      calls += 1;
      void ctx.sleep(10);
      await ctx.sleep(10).catch(() => {});
      await ctx.sleep(10).catch(() => {});
      return value;
    });
    const run = await makeEngine(store).run(workflow, 1);
    expect(run.status).toBe("COMPLETED");
    expect(calls).toBe(4);
    expect(await store.getStepExecution(run.runId, "s")).toMatchObject({ sleepCount: 3 });
  });

  test("a past time is not a sleep, and nothing is stored", async () => {
    const store = await open();
    const workflow = one(async (value, ctx) => {
      await ctx.sleep(0);
      await ctx.sleep(new Date(0));
      return value;
    });
    const run = await makeEngine(store).run(workflow, 1);
    expect(run.status).toBe("COMPLETED");
    expect(await store.getStepExecution(run.runId, "s")).toMatchObject({ sleepCount: 0 });
  });

  test("an invalid time fails the step without a retry", async () => {
    const engine = makeEngine(await open());
    const bad = [-1, Number.NaN, Infinity, new Date(Number.NaN), "1s", null, undefined];
    const workflow = one(async (index, ctx) => {
      await ctx.sleep(bad[index] as number);
      return index;
    });
    for (const index of bad.keys()) {
      expect(await engine.run(workflow, index)).toMatchObject({
        status: "FAILED",
        error: { code: "INVALID_ARGUMENT", attempt: 1 },
      });
    }
  });

  test("other steps continue during a sleep, and the run is released when all of them wait", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const proceed = makeGate();
    const calls: string[] = [];
    const workflow = defineWorkflow({ id: "w" })
      .parallel(
        numberStep("sleeper", async (value, ctx) => {
          calls.push("sleeper");
          await ctx.sleep(2 * hour);
          return value + 1;
        }),
        numberStep("busy", async (value) => {
          calls.push("busy");
          await proceed.promise;
          return value + 2;
        }),
        defineStep({
          id: "flaky",
          input: z.number(),
          output: z.number(),
          retry: { maxRetries: 1, delayMs: hour },
          run: (value, { attempt }) => {
            calls.push(`flaky ${attempt}`);
            if (attempt === 1) throw new Error("again");
            return value + 3;
          },
        }),
      )
      .build();
    const engine = makeEngine(store, { clock });
    const runId = await engine.start(workflow, 1);
    engine.register(workflow);
    const recovering = engine.recover();
    await expect
      .poll(async () => (await store.listStepExecutions(runId)).map(({ status }) => status))
      .toEqual(["RUNNING", "RUNNING", "RETRYING"]);
    expect(await store.getRun(runId)).toMatchObject({ status: "RUNNING" });
    proceed.open();
    expect(await recovering).toBe(0);
    expect(await store.getRun(runId)).toMatchObject({
      status: "PENDING",
      // The step that continues first.
      wakeAt: later(clock, hour),
      progress: 1 / 3,
    });
    await engine.close();
    clock.advance(hour);
    expect(await workOff(store, clock, workflow)).toBe(0);
    expect(await store.getRun(runId)).toMatchObject({ wakeAt: later(clock, hour) });
    clock.advance(hour);
    expect(await workOff(store, clock, workflow)).toBe(1);
    expect(calls).toEqual(["sleeper", "busy", "flaky 1", "flaky 2", "sleeper"]);
    expect((await store.getRun(runId)).output).toEqual({ sleeper: 2, busy: 3, flaky: 4 });
  });

  test("close releases a sleeping run until the end of the sleep", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const workflow = one(async (value, ctx) => {
      await ctx.sleep(4000);
      return value;
    });
    const engine = makeEngine(store, { clock });
    engine.register(workflow);
    const runId = await engine.start(workflow, 1);
    void engine.work();
    await expect.poll(async () => (await store.listStepExecutions(runId))[0]?.sleepCount).toBe(1);
    expect((await store.getRun(runId)).status).toBe("RUNNING");
    await engine.close();
    expect(await store.getRun(runId)).toMatchObject({
      status: "PENDING",
      workerId: null,
      wakeAt: later(clock, 4000),
    });
    clock.advance(4000);
    expect(await workOff(store, clock, workflow)).toBe(1);
  });

  test("a sleeping run can be cancelled and does not wake", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const workflow = one(async (value, ctx) => {
      await ctx.sleep(hour);
      return value;
    });
    const engine = makeEngine(store, { clock });
    const runId = await engine.start(workflow, 1);
    await workOff(store, clock, workflow);
    await engine.cancel(runId);
    expect(await store.getRun(runId)).toMatchObject({ status: "CANCELLED", wakeAt: null });
    expect(await store.listStepExecutions(runId)).toMatchObject([
      { status: "CANCELLED", wakeAt: null },
    ]);
    clock.advance(hour);
    expect(await workOff(store, clock, workflow)).toBe(0);
  });

  test("a long wait for a retry is stored, frees the worker, and survives its death", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const attempts: number[] = [];
    const workflow = defineWorkflow({ id: "w" })
      .step(
        defineStep({
          id: "s",
          input: z.number(),
          output: z.number(),
          retry: { maxRetries: 2, delayMs: hour, backoff: "linear" },
          run: (value, { attempt }) => {
            attempts.push(attempt);
            if (attempt < 3) throw new Error("again");
            return value;
          },
        }),
      )
      .build();
    const runId = await makeEngine(store, { clock }).start(workflow, 1);
    expect(await workOff(store, clock, workflow)).toBe(0);
    expect(await store.listStepExecutions(runId)).toMatchObject([
      { status: "RETRYING", attempt: 1, wakeAt: later(clock, hour) },
    ]);
    expect(await store.getRun(runId)).toMatchObject({ wakeAt: later(clock, hour) });
    clock.advance(hour);
    expect(await workOff(store, clock, workflow)).toBe(0);
    expect(await store.getRun(runId)).toMatchObject({ wakeAt: later(clock, 2 * hour) });
    clock.advance(2 * hour);
    expect(await workOff(store, clock, workflow)).toBe(1);
    expect(attempts).toEqual([1, 2, 3]);
  });
});

test("a step cannot sleep within its transaction", async () => {
  const store = await LibSQLStore.open(":memory:");
  onTestFinished(() => store.close());
  const workflow = defineWorkflow({ id: "w" })
    .step(
      defineStep({
        id: "s",
        input: z.number(),
        output: z.number(),
        retry: { maxRetries: 3, delayMs: 0 },
        run: (value, ctx) =>
          ctx.transaction(async () => {
            await ctx.state.set("k", 1);
            await ctx.sleep(10);
            return value;
          }),
      }),
    )
    .build();
  const run = await makeEngine(store).run(workflow, 1);
  expect(run).toMatchObject({ status: "FAILED", error: { code: "INVALID_ARGUMENT", attempt: 1 } });
  expect(await store.getAllState(run.runId)).toEqual({});
});
