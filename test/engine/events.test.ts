import { describe, expect, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import type { Engine } from "../../src/engine/engine.ts";
import {
  engineEventTypes,
  type EngineEvents,
  type EngineEventType,
} from "../../src/engine/observe/events.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { InvalidArgumentError, StoreConnectionError } from "../../src/errors.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { makeClock, makeEngine, makeGate, makeLogger, numberStep } from "./support/engines.ts";
import { observe } from "./support/observed-store.ts";
import { stores } from "./support/stores.ts";

type Heard = { [Type in EngineEventType]: EngineEvents[Type] & { type: Type } }[EngineEventType];

/** Collects all events of the engine, in order. */
function listen(engine: Engine): Heard[] {
  const heard: Heard[] = [];
  for (const type of engineEventTypes) {
    engine.on(type, (event) => void heard.push({ type, ...event } as Heard));
  }
  return heard;
}

/** One line for each event, with its type and subject. */
const brief = (heard: readonly Heard[]): string[] =>
  heard.map((event) => {
    const what = "stepId" in event ? `${event.stepId}/${event.attempt}` : `run/${event.runAttempt}`;
    const how = "status" in event ? event.status : "reason" in event ? event.reason : "";
    return `${event.type} ${what} ${how}`.trim();
  });

const doubled = defineWorkflow({ id: "w", version: "7" })
  .stepIf(
    () => false,
    numberStep("skipped", () => 0),
  )
  .step(
    defineStep({
      id: "shaky",
      input: z.number(),
      output: z.number(),
      retry: { maxRetries: 1, delayMs: 1 },
      run: (value, { attempt }) => {
        if (attempt === 1) throw new TypeError("once");
        return value;
      },
    }),
  )
  .parallel(
    numberStep("left", (value) => value),
    numberStep("right", (value) => value * 2),
  )
  .build();

describe.each(stores)("on %s", (_, open) => {
  test("each stored transition is an event, in order, without payloads", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const engine = makeEngine(store, { workerId: "worker", clock });
    const heard = listen(engine);
    const stored: string[] = [];
    engine.on("step.finished", async ({ runId, stepId, status }) => {
      const row = await store.getStepExecution(runId, stepId);
      stored.push(`${stepId} ${row.status === status}`);
    });
    const { runId } = await engine.run(doubled, 21);
    expect(brief(heard)).toEqual([
      "run.started run/1",
      "step.finished skipped/0 SKIPPED",
      "step.started shaky/1",
      "step.retrying shaky/1",
      "step.started shaky/2",
      "step.finished shaky/2 COMPLETED",
      "step.started left/1",
      "step.started right/1",
      "step.finished left/1 COMPLETED",
      "step.finished right/1 COMPLETED",
      "run.finished run/1 COMPLETED",
    ]);
    await engine.close();
    expect(stored.toSorted()).toEqual(["left true", "right true", "shaky true", "skipped true"]);
    for (const event of heard) {
      expect(event).toMatchObject({
        runId,
        workflowId: "w",
        workflowVersion: "7",
        runAttempt: 1,
        workerId: "worker",
        at: clock(),
      });
    }
    expect(heard.find(({ type }) => type === "step.retrying")).toMatchObject({
      delayMs: 1,
      durationMs: expect.any(Number),
      error: expect.any(TypeError),
    });
    const fields = new Set(heard.flatMap((event) => Object.keys(event)));
    expect([...fields].toSorted()).toEqual([
      "at",
      "attempt",
      "delayMs",
      "durationMs",
      "error",
      "runAttempt",
      "runId",
      "status",
      "stepId",
      "type",
      "workerId",
      "workflowId",
      "workflowVersion",
    ]);
  });

  test("a failed run sends an event with the error of its step", async () => {
    const engine = makeEngine(await open());
    const heard = listen(engine);
    const error = new Error("down");
    const workflow = defineWorkflow({ id: "w" })
      .step(
        numberStep("s", () => {
          throw error;
        }),
      )
      .build();
    await engine.run(workflow, 1);
    expect(brief(heard)).toEqual([
      "run.started run/1",
      "step.started s/1",
      "step.finished s/1 FAILED",
      "run.finished run/1 FAILED",
    ]);
    expect(heard[2]).toHaveProperty("error", error);
  });

  test("a lost run and a released run send run.left", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const leaseMs = 30_000;
    const reached = makeGate();
    const proceed = makeGate();
    const step = numberStep("s", async (value, { state }) => {
      reached.open();
      await proceed.promise;
      await state.set("late", 1);
      return value;
    });
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    const engine = makeEngine(store, { leaseMs, clock });
    const heard = listen(engine);
    await engine.start(workflow, 1);
    engine.register(workflow);
    const working = engine.work();
    await reached.promise;
    clock.advance(leaseMs);
    await store.claimRuns({ workerId: "other", leaseMs, limit: 1 });
    proceed.open();
    await engine.close();
    await working;
    expect(brief(heard)).toEqual([
      "run.started run/1",
      "step.started s/1",
      "step.interrupted s/1",
      "run.left run/1 lost",
    ]);
  });

  test("a cancelled run sends run.finished where it was cancelled and run.left where it ran", async () => {
    const store = await open();
    const reached = makeGate();
    const workflow = defineWorkflow({ id: "w" })
      .step(
        numberStep("s", (value, { signal }) => {
          reached.open();
          return new Promise((resolve) => {
            signal.addEventListener("abort", () => resolve(value));
          });
        }),
      )
      .build();
    const worker = makeEngine(store, { leaseMs: 100 });
    const canceller = makeEngine(store);
    const [there, here] = [listen(worker), listen(canceller)];
    const runId = await worker.start(workflow, 1);
    const left = makeGate();
    worker.on("run.left", () => left.open());
    worker.register(workflow);
    void worker.work();
    await reached.promise;
    await canceller.cancel(runId);
    await canceller.cancel(runId);
    await left.promise;
    expect(brief(here)).toEqual(["run.finished run/1 CANCELLED"]);
    expect(brief(there)).toEqual([
      "run.started run/1",
      "step.started s/1",
      "step.interrupted s/1",
      "run.left run/1 cancelled",
    ]);
  });

  test("a run is reported as cancelled even if the answer to the write is lost", async () => {
    const inner = await open();
    let isLost = false;
    const store = observe(inner, async (operation, carryOut) => {
      const result = await carryOut();
      if (operation !== "updateRun" || isLost) return result;
      isLost = true;
      throw new StoreConnectionError({ reason: "no answer", outcome: "unknown", retryable: true });
    });
    const engine = makeEngine(store);
    const seen = listen(engine);
    const startAt = new Date(Date.now() + 60_000);
    const runId = await engine.start(simple, 1, { startAt });
    await engine.cancel(runId);
    await engine.cancel(runId);
    expect(brief(seen)).toEqual(["run.finished run/0 CANCELLED"]);
  });
});

const simple = defineWorkflow({ id: "w" })
  .step(numberStep("s", (value) => value))
  .build();

test("a listener that throws, rejects or changes its event affects no run and no other listener", async () => {
  const logger = makeLogger();
  const engine = makeEngine(new MemoryStore(), { logger });
  const seen: string[] = [];
  engine.on("step.started", () => {
    throw new Error("thrown");
  });
  engine.on("step.started", async () => {
    await Promise.resolve();
    throw new Error("rejected");
  });
  engine.on("step.started", (event) => void Object.assign(event, { stepId: "spoilt" }));
  engine.on("step.started", ({ stepId }) => void seen.push(stepId));
  const { runId, status } = await engine.run(simple, 1);
  await engine.close();
  expect(status).toBe("COMPLETED");
  expect(seen).toEqual(["s"]);
  const reports = logger.reports.filter(({ level }) => level === "error");
  expect(reports).toEqual(
    ["thrown", "rejected"].map((message) => ({
      level: "error",
      message: "a listener failed",
      fields: { runId, workflowId: "w", type: "step.started", err: new Error(message) },
    })),
  );
});

test("a listener is called once for each time that it was added, until it is removed", async () => {
  const engine = makeEngine(new MemoryStore());
  const seen: string[] = [];
  const listener = ({ runId }: { runId: string }): void => void seen.push(runId);
  const removeFirst = engine.on("run.finished", listener);
  const removeSecond = engine.on("run.finished", listener);
  const one = await engine.run(simple, 1);
  removeFirst();
  removeFirst();
  const two = await engine.run(simple, 1);
  removeSecond();
  await engine.run(simple, 1);
  expect(seen).toEqual([one.runId, one.runId, two.runId]);
});

test("a wait that begins in a listener of the run's end does not wait for a poll", async () => {
  const engine = makeEngine(new MemoryStore());
  const waits: Promise<number>[] = [];
  engine.on("run.finished", ({ runId }) => {
    const begun = performance.now();
    waits.push(engine.wait(runId).then(() => performance.now() - begun));
  });
  await engine.run(simple, 1);
  expect(waits).toHaveLength(1);
  expect(Math.max(...(await Promise.all(waits)))).toBeLessThan(900);
});

test("an unknown event type and an invalid listener are rejected", () => {
  const engine = makeEngine(new MemoryStore());
  expect(() => engine.on("run.done" as "run.finished", () => {})).toThrow(InvalidArgumentError);
  expect(() => engine.on("run.finished", null as never)).toThrow(InvalidArgumentError);
});

test("a listener that is added during an event is called for the next one, and removal during an event is harmless", async () => {
  const engine = makeEngine(new MemoryStore());
  let calls = 0;
  let remove = (): void => {};
  const again = (): void => {
    calls += 1;
    remove();
    remove = engine.on("run.finished", again);
  };
  remove = engine.on("run.finished", again);
  await engine.run(simple, 1);
  expect(calls).toBe(1);
  await engine.run(simple, 1);
  expect(calls).toBe(2);
});

test("each listener gets its own copy of the dates of an event", async () => {
  const store = new MemoryStore();
  const engine = makeEngine(store);
  const seen: unknown[] = [];
  const wakeAt = new Date(Date.now() + 60_000);
  const expected = wakeAt.getTime();
  engine.on("step.sleeping", ({ until, at }) => {
    until.setTime(0);
    at.setTime(0);
  });
  engine.on("step.sleeping", ({ until, at }) => void seen.push(until.getTime(), at.getTime() > 0));
  const workflow = defineWorkflow({ id: "w" })
    .step(
      numberStep("s", async (value, ctx) => {
        const sleeping = ctx.sleep(wakeAt);
        wakeAt.setTime(0);
        await sleeping;
        return value;
      }),
    )
    .build();
  engine.register(workflow);
  const left = new Promise((resolve) => engine.on("run.left", resolve));
  const runId = await engine.start(workflow, 1);
  void engine.work();
  await left;
  expect(seen).toEqual([expected, true]);
  expect((await store.getRun(runId)).wakeAt).toEqual(new Date(expected));
});
