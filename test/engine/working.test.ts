import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { EngineClosedError, StoreClosedError, StoreConnectionError } from "../../src/errors.ts";
import type { StepContext } from "../../src/engine/definition/step-definition.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { makeClock, makeEngine, makeGate, makeLogger, numberStep } from "./support/engines.ts";
import { observe } from "./support/observed-store.ts";
import { stores } from "./support/stores.ts";

/** Wraps `store`: `claimed` opens when runs have been claimed, and the engine gets them after `proceed` opens. */
function holdClaims(store: WorkflowStore) {
  const claimed = makeGate();
  const proceed = makeGate();
  const held = observe(store, async (operation, carryOut) => {
    const result = await carryOut();
    if (operation === "claimRuns") {
      claimed.open();
      await proceed.promise;
    }
    return result;
  });
  return { held, claimed, proceed };
}

const identity = numberStep("s", (value) => value);
const simple = defineWorkflow({ id: "w" }).step(identity).build();

describe.each(stores)("on %s", (_, open) => {
  test("nothing runs before an engine works", async () => {
    const store = await open();
    const engine = makeEngine(store);
    engine.register(simple);
    const runId = await engine.start(simple, 1);
    expect((await store.getRun(runId)).status).toBe("PENDING");
    const controller = new AbortController();
    const working = engine.work({ signal: controller.signal });
    expect(engine.work()).toBeInstanceOf(Promise);
    expect((await engine.wait(runId)).status).toBe("COMPLETED");
    controller.abort();
    await working;
    // The engine stopped working and can start again.
    const second = await engine.start(simple, 2);
    expect((await store.getRun(second)).status).toBe("PENDING");
    expect((await engine.wait(second)).output).toBe(2);
  });

  test("work returns immediately if the signal has aborted", async () => {
    const store = await open();
    const engine = makeEngine(store);
    engine.register(simple);
    const runId = await engine.start(simple, 1);
    await engine.work({ signal: AbortSignal.abort() });
    expect((await store.getRun(runId)).status).toBe("PENDING");
  });

  test("a start wakes an idle worker of its process", async () => {
    const store = await open();
    const engine = makeEngine(store);
    engine.register(simple);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      void engine.work();
      for (let index = 0; index < 20; index++) await vi.advanceTimersByTimeAsync(1000);
      // No timer fires from here on, so only the wake-up can end the run.
      const runId = await engine.start(simple, 1);
      await vi.waitFor(async () => expect((await store.getRun(runId)).status).toBe("COMPLETED"), {
        interval: 5,
      });
    } finally {
      vi.useRealTimers();
    }
  });

  test("recover executes all claimable runs and resolves when none is left", async () => {
    const store = await open();
    const starter = makeEngine(store);
    for (let index = 0; index < 25; index++) await starter.start(simple, index);
    const engine = makeEngine(store, { concurrency: 4 });
    expect(await engine.recover()).toBe(0);
    engine.register(simple);
    expect(await engine.recover()).toBe(25);
    expect(await store.countRuns()).toMatchObject({ COMPLETED: 25, PENDING: 0, RUNNING: 0 });
    expect(await engine.recover()).toBe(0);
  });

  test("recover does not resolve while the store is unreachable", async () => {
    const inner = await open();
    let away = 2;
    const store = observe(inner, async (operation, carryOut) => {
      if (operation === "claimRuns" && away-- > 0)
        throw new StoreConnectionError({ reason: "away" });
      return carryOut();
    });
    const engine = makeEngine(store, { logger: makeLogger() }).register(simple);
    await engine.start(simple, 1);
    expect(await engine.recover()).toBe(1);
    await inner.close();
    await expect(engine.recover()).rejects.toThrow(StoreClosedError);
  });

  test("close lets the running step end and leaves the next one to another worker", async () => {
    const store = await open();
    const reached = makeGate();
    const proceed = makeGate();
    const calls: string[] = [];
    const workflow = defineWorkflow({ id: "w" })
      .step(
        numberStep("first", async (value) => {
          reached.open();
          await proceed.promise;
          return value + 1;
        }),
      )
      .stepIf(() => false, identity)
      .step(
        numberStep("second", (value) => {
          calls.push("second");
          return value * 2;
        }),
      )
      .build();
    const first = makeEngine(store);
    first.register(workflow);
    const runId = await first.start(workflow, 1);
    void first.work();
    await reached.promise;
    const closing = first.close();
    proceed.open();
    await closing;
    expect(calls).toEqual([]);
    expect(await store.getRun(runId)).toMatchObject({
      status: "PENDING",
      workerId: null,
      leaseExpiresAt: null,
      progress: 1 / 3,
    });
    const statuses = (await store.listStepExecutions(runId)).map(({ status }) => status);
    expect(statuses).toEqual(["COMPLETED"]);
    const second = makeEngine(store);
    second.register(workflow);
    expect(await second.wait(runId)).toMatchObject({ status: "COMPLETED", output: 4, attempt: 2 });
    expect(calls).toEqual(["second"]);
  });

  test("close aborts a step at the deadline, and another worker restarts it", async () => {
    const store = await open();
    const reached = makeGate<StepContext>();
    const never = makeGate();
    const make = (hang: boolean) =>
      defineWorkflow({ id: "w" })
        .step(
          numberStep("s", async (value, ctx) => {
            reached.open(ctx);
            if (hang) await never.promise;
            return value + ctx.attempt;
          }),
        )
        .build();
    const first = makeEngine(store);
    first.register(make(true));
    const runId = await first.start(make(true), 1);
    void first.work();
    const { signal } = await reached.promise;
    await first.close({ deadlineMs: 5 });
    expect(signal.reason).toBeInstanceOf(EngineClosedError);
    expect(await store.getRun(runId)).toMatchObject({ status: "PENDING", workerId: null });
    const second = makeEngine(store);
    second.register(make(false));
    expect(await second.wait(runId)).toMatchObject({ status: "COMPLETED", output: 2 });
  });

  test("close ends waits, happens once, and makes later calls reject", async () => {
    const engine = makeEngine(await open());
    const runId = await engine.start(simple, 1);
    const waiting = engine.wait(runId);
    const closing = [engine.close(), engine.close()];
    await expect(waiting).rejects.toThrow(EngineClosedError);
    await Promise.all(closing);
    await expect(engine.start(simple, 1)).rejects.toThrow(EngineClosedError);
    await expect(engine.work()).rejects.toThrow(EngineClosedError);
    await expect(engine.recover()).rejects.toThrow(EngineClosedError);
    await expect(engine.cancel(runId)).rejects.toThrow(EngineClosedError);
    await expect(engine.wait(runId)).rejects.toThrow(EngineClosedError);
  });

  test("close ends a wait without another poll", async () => {
    const engine = makeEngine(await open());
    const runId = await engine.start(simple, 1);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const rejected = expect(engine.wait(runId)).rejects.toThrow(EngineClosedError);
      await vi.advanceTimersByTimeAsync(100);
      // No timer fires from here on.
      await engine.close();
      await rejected;
    } finally {
      vi.useRealTimers();
    }
  });

  test("repeated closing under load loses nothing and runs nothing twice", async () => {
    const store = await open();
    const calls = new Map<string, number>();
    const step = <const Id extends string>(id: Id) =>
      numberStep(id, async (value, { runId }) => {
        const key = `${runId} ${id}`;
        calls.set(key, (calls.get(key) ?? 0) + 1);
        await Promise.resolve();
        return value + 1;
      });
    const workflow = defineWorkflow({ id: "w" })
      .step(step("a"))
      .parallel(step("b"), step("c"))
      .step(
        defineStep({
          id: "d",
          input: z.object({ b: z.number(), c: z.number() }),
          output: z.number(),
          run: ({ b, c }) => b + c,
        }),
      )
      .build();
    const starter = makeEngine(store);
    const ids: string[] = [];
    for (let index = 0; index < 30; index++) ids.push(await starter.start(workflow, index));
    for (let round = 0; round < 200; round++) {
      const engine = makeEngine(store, { concurrency: 3 });
      engine.register(workflow);
      void engine.work();
      await new Promise((resolve) => setTimeout(resolve, 3));
      await engine.close();
      if ((await store.countRuns()).COMPLETED === ids.length) break;
    }
    expect(await store.countRuns()).toMatchObject({ COMPLETED: ids.length });
    expect([...calls.values()].every((count) => count === 1)).toBe(true);
    for (const [index, runId] of ids.entries()) {
      expect((await store.getRun(runId)).output).toBe(2 * (index + 2));
    }
  });

  test("work rejects if the store is closed", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const working = engine.work();
    await store.close();
    await expect(working).rejects.toThrow(StoreClosedError);
    await engine.close();
  });

  test.each([
    ["while it does not claim", 1],
    ["while it claims", 2],
  ])("a closed store aborts the running steps, %s", async (__, concurrency) => {
    const store = await open();
    const engine = makeEngine(store, { concurrency, leaseMs: 200 });
    const reached = makeGate<AbortSignal>();
    const step = numberStep("s", (_value, { signal }) => {
      reached.open(signal);
      return new Promise(() => {});
    });
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    engine.register(workflow);
    await engine.start(workflow, 1);
    const working = engine.work();
    const signal = await reached.promise;
    await store.close();
    await expect(working).rejects.toThrow(StoreClosedError);
    expect(signal.reason).toBeInstanceOf(StoreClosedError);
    await engine.close();
  });

  test("an engine that closes begins no step after a condition", async () => {
    const store = await open();
    const asked = makeGate();
    const answer = makeGate<boolean>();
    let calls = 0;
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("first", (value) => value))
      .stepIf(
        () => {
          asked.open();
          return answer.promise;
        },
        numberStep("second", (value) => {
          calls += 1;
          return value + 1;
        }),
      )
      .build();
    const engine = makeEngine(store).register(workflow);
    const runId = await engine.start(workflow, 1);
    const working = engine.work();
    await asked.promise;
    const closing = engine.close();
    answer.open(true);
    await closing;
    await working;
    expect(calls).toBe(0);
    expect(await store.getRun(runId)).toMatchObject({ status: "PENDING", wakeAt: null });
    const other = makeEngine(store).register(workflow);
    expect(await other.wait(runId)).toMatchObject({ status: "COMPLETED", output: 2 });
    expect(await store.listStepExecutions(runId)).toMatchObject([{ attempt: 1 }, { attempt: 1 }]);
  });

  test("an engine that closes while it loads a run begins none of its steps", async () => {
    const store = await open();
    const loading = makeGate();
    const proceed = makeGate();
    let calls = 0;
    const workflow = defineWorkflow({ id: "w" })
      .step(
        numberStep("s", (_value, ctx) => {
          calls += 1;
          return ctx.attempt;
        }),
      )
      .build();
    const runId = await makeEngine(store).start(workflow, 1);
    const observed = observe(store, async (operation, carryOut) => {
      if (operation === "getRun") {
        loading.open();
        await proceed.promise;
      }
      return carryOut();
    });
    const engine = makeEngine(observed).register(workflow);
    const working = engine.work();
    await loading.promise;
    const closing = engine.close();
    proceed.open();
    await closing;
    await working;
    expect(calls).toBe(0);
    const other = makeEngine(store).register(workflow);
    expect(await other.wait(runId)).toMatchObject({ status: "COMPLETED", output: 1 });
  });

  test.each([
    ["before its deadline", 10_000],
    ["after its deadline, while the store does not answer", 0],
  ])(
    "a run that an engine claims while it closes, %s, begins elsewhere",
    async (__, deadlineMs) => {
      const store = await open();
      const workflow = defineWorkflow({ id: "w" })
        .step(numberStep("s", (_value, ctx) => ctx.attempt))
        .build();
      const runId = await makeEngine(store).start(workflow, 1);
      const observed = observe(store, async (operation, carryOut) => {
        if (operation === "getRun" && deadlineMs === 0) await new Promise(() => {});
        return carryOut();
      });
      const { held, claimed, proceed } = holdClaims(observed);
      const engine = makeEngine(held).register(workflow);
      const working = engine.work();
      await claimed.promise;
      const closing = engine.close({ deadlineMs });
      await new Promise((resolve) => setTimeout(resolve, 5));
      proceed.open();
      await closing;
      await working;
      expect(await store.getRun(runId)).toMatchObject({ status: "PENDING", attempt: 1 });
      const other = makeEngine(store).register(workflow);
      expect(await other.wait(runId)).toMatchObject({ status: "COMPLETED", attempt: 2 });
      expect(await store.getStepExecution(runId, "s")).toMatchObject({
        attempt: 1,
        attemptOffset: 0,
        input: 1,
      });
    },
  );

  test("an engine that closes asks no condition of a run that it has just claimed", async () => {
    const store = await open();
    let asked = 0;
    const workflow = defineWorkflow({ id: "w" })
      .stepIf(
        () => ++asked > 0,
        numberStep("s", (value) => value),
      )
      .build();
    const runId = await makeEngine(store).start(workflow, 1);
    const { held, claimed, proceed } = holdClaims(store);
    const engine = makeEngine(held).register(workflow);
    const working = engine.work();
    await claimed.promise;
    const closing = engine.close();
    proceed.open();
    await Promise.all([closing, working]);
    expect(asked).toBe(0);
    expect(await store.listStepExecutions(runId)).toEqual([]);
    expect(await store.getRun(runId)).toMatchObject({ status: "PENDING", workerId: null });
  });

  test("a run that is starting while the engine closes is left to others", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const running = engine.run(simple, 1);
    const rejected = expect(running).rejects.toThrow(EngineClosedError);
    await engine.close();
    await rejected;
    expect((await store.listRuns()).runs).toMatchObject([{ status: "PENDING", attempt: 0 }]);
    expect(await makeEngine(store).register(simple).recover()).toBe(1);
  });

  test("a step that closes its engine restarts elsewhere", async () => {
    const store = await open();
    const engine = makeEngine(store);
    let isClosing = true;
    const step = numberStep("s", async (value) => {
      if (isClosing) await engine.close({ deadlineMs: 10 });
      return value;
    });
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    engine.register(workflow);
    const runId = await engine.start(workflow, 1);
    await engine.work();
    await engine.close();
    expect(await store.getRun(runId)).toMatchObject({ status: "PENDING", workerId: null });
    isClosing = false;
    const other = makeEngine(store).register(workflow);
    expect(await other.wait(runId)).toMatchObject({ status: "COMPLETED", attempt: 2 });
  });

  test("an engine does not claim a run that it still executes after the lease expired", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const begun = makeGate();
    const proceed = makeGate();
    let calls = 0;
    const step = numberStep("s", async (value) => {
      calls += 1;
      begun.open();
      await proceed.promise;
      return value + 1;
    });
    let claims = 0;
    let jumpMs = 0;
    const observed = observe(store, async (operation, carryOut) => {
      if (operation === "claimRuns") {
        claims += 1;
        // As if the process were suspended after it decided to claim.
        clock.advance(jumpMs);
      }
      return carryOut();
    });
    const engine = makeEngine(observed, { leaseMs: 30_000, concurrency: 2 });
    const running = engine.run(defineWorkflow({ id: "w" }).step(step).build(), 1);
    await begun.promise;
    jumpMs = 30_000;
    const claimsBefore = claims;
    await expect.poll(() => claims).toBeGreaterThan(claimsBefore + 1);
    proceed.open();
    expect(await running).toMatchObject({ status: "COMPLETED", attempt: 1, lostLeases: 0 });
    expect(calls).toBe(1);
  });

  test("an engine that claims its own run again does not run it twice at once", async () => {
    const store = await open();
    const reached = [makeGate<StepContext>(), makeGate<StepContext>()];
    const proceed = makeGate();
    let calls = 0;
    const step = numberStep("s", async (value, ctx) => {
      reached[calls++]?.open(ctx);
      await proceed.promise;
      return value + 1;
    });
    const engine = makeEngine(store, { leaseMs: 30_000, concurrency: 2 });
    const running = engine.run(defineWorkflow({ id: "w" }).step(step).build(), 1);
    const first = await reached[0]?.promise;
    // An operator gives the run to other workers, and this one claims it first.
    await store.updateRun(first?.runId ?? "", { status: "PENDING" });
    const second = await reached[1]?.promise;
    expect(first?.signal.aborted).toBe(true);
    expect(second?.signal.aborted).toBe(false);
    proceed.open();
    expect(await running).toMatchObject({ status: "COMPLETED", output: 2, attempt: 2 });
    expect(await store.listStepExecutions(second?.runId ?? "")).toMatchObject([
      { status: "COMPLETED" },
    ]);
  });
});
