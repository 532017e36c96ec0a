import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import type { StepContext } from "../../src/engine/definition/step-definition.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import {
  CorruptRowError,
  EngineClosedError,
  StoreBusyError,
  StoreConnectionError,
} from "../../src/errors.ts";
import { retryDelayMs } from "../../src/model/backoff.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { makeEngine, makeGate, numberStep } from "./support/engines.ts";
import { observe } from "./support/observed-store.ts";
import { fileUrl, openStore, stores } from "./support/stores.ts";

const busy = () => new StoreBusyError("the database is locked");
const lostAnswer = () =>
  new StoreConnectionError({ reason: "no answer", outcome: "unknown", retryable: true });

describe.each(stores)("on %s", (_, open) => {
  test("a condition that meets a busy store is evaluated again, and the step before it does not run again", async () => {
    const inner = await open();
    let reads = 0;
    const store = observe(inner, async (operation, carryOut) => {
      if (operation === "findState" && ++reads <= 3) throw busy();
      return carryOut();
    });
    let charges = 0;
    const charge = numberStep("charge", (value) => {
      charges += 1;
      return value;
    });
    const workflow = defineWorkflow({ id: "w" })
      .step(charge)
      .stepIf(
        async (__, { state }) => (await state.get("skip")) === undefined,
        numberStep("next", (value) => value + 1),
      )
      .build();
    const run = await makeEngine(store).run(workflow, 1);
    expect(run).toMatchObject({ status: "COMPLETED", output: 2, attempt: 1 });
    expect([charges, reads]).toEqual([1, 4]);
  });

  test("a step is stored when it ends, even if the condition after it is slow", async () => {
    const store = await open();
    const asked = makeGate<string>();
    const answer = makeGate<boolean>();
    let calls = 0;
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("first", () => ++calls))
      .stepIf(
        (__, { runId }) => {
          asked.open(runId);
          return answer.promise;
        },
        numberStep("next", (value) => value + 1),
      )
      .build();
    const engine = makeEngine(store).register(workflow);
    await engine.start(workflow, 1);
    void engine.work();
    const runId = await asked.promise;
    expect(await store.getStepExecution(runId, "first")).toMatchObject({ status: "COMPLETED" });
    expect(await store.getRun(runId)).toMatchObject({ status: "RUNNING", progress: 0.5 });
    await engine.close({ deadlineMs: 0 });
    answer.open(true);
    const run = await makeEngine(store).register(workflow).wait(runId);
    expect(run).toMatchObject({ status: "COMPLETED", output: 2 });
    expect(calls).toBe(1);
  });

  test("a running step and each of its attempts have a row", async () => {
    const store = await open();
    const rows: unknown[] = [];
    const step = defineStep({
      id: "s",
      input: z.number(),
      output: z.number(),
      retry: { maxRetries: 1, delayMs: 0 },
      run: async (value, { runId, attempt }) => {
        await sleep(50);
        const { status, attempt: stored } = await store.getStepExecution(runId, "s");
        rows.push([status, stored]);
        if (attempt === 1) throw new Error("again");
        return value;
      },
    });
    await makeEngine(store).run(defineWorkflow({ id: "w" }).step(step).build(), 1);
    expect(rows).toEqual([
      ["RUNNING", 1],
      ["RUNNING", 2],
    ]);
  });

  test.each(["cancelled", "timed out"])(
    "the second attempt of a run that is %s is recorded, and its number is not used again",
    async (how) => {
      const store = await open();
      const second = makeGate<string>();
      const numbers: number[] = [];
      const step = defineStep({
        id: "s",
        input: z.number(),
        output: z.number(),
        retry: { maxRetries: 1, delayMs: 0 },
        run: async (value, { runId, attempt, signal }) => {
          numbers.push(attempt);
          if (attempt === 1) throw new Error("again");
          if (attempt === 3) return value;
          second.open(runId);
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          return value;
        },
      });
      const workflow = defineWorkflow({ id: "w" }).step(step).build();
      const engine = makeEngine(store).register(workflow);
      const options = how === "timed out" ? { timeoutMs: 500 } : {};
      const running = engine.run(workflow, 1, options);
      const runId = await second.promise;
      if (how === "cancelled") await engine.cancel(runId);
      await running;
      const attempts = async () =>
        (await store.listStepAttempts(runId)).map(({ attempt, status }) => [attempt, status]);
      expect(await attempts()).toEqual([
        [1, "FAILED"],
        [2, "CANCELLED"],
      ]);
      expect(await store.getStepExecution(runId, "s")).toMatchObject({
        status: "CANCELLED",
        attempt: 2,
      });
      await engine.retry(runId);
      expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED" });
      expect(numbers).toEqual([1, 2, 3]);
      expect((await attempts()).at(-1)).toEqual([3, "COMPLETED"]);
    },
  );

  test("if the answer to the last batch is lost, the events say that the run completed", async () => {
    const inner = await open();
    let batches = 0;
    const store = observe(inner, async (operation, carryOut) => {
      const result = await carryOut();
      if (operation === "batch" && ++batches === 2) throw lostAnswer();
      return result;
    });
    const engine = makeEngine(store);
    const seen: string[] = [];
    engine.on("run.left", ({ reason }) => void seen.push(reason));
    engine.on("run.finished", ({ status }) => void seen.push(status));
    const step = <const Id extends string>(id: Id) => numberStep(id, (value) => value + 1);
    const workflow = defineWorkflow({ id: "w" }).step(step("a")).step(step("b")).build();
    expect(await engine.run(workflow, 1)).toMatchObject({ status: "COMPLETED", output: 3 });
    await engine.close();
    expect(seen).toEqual(["COMPLETED"]);
  });

  test("if a run completes at the deadline of a closing, the events say so", async () => {
    const written = makeGate();
    const answer = makeGate();
    const store = observe(await open(), async (operation, carryOut) => {
      const result = await carryOut();
      if (operation === "batch") {
        written.open();
        await answer.promise;
      }
      return result;
    });
    const engine = makeEngine(store);
    const seen: string[] = [];
    engine.on("run.left", ({ reason }) => void seen.push(reason));
    engine.on("run.finished", ({ status }) => void seen.push(status));
    const step = numberStep("s", (value) => value + 1);
    const running = engine.run(defineWorkflow({ id: "w" }).step(step).build(), 1);
    await written.promise;
    const closing = engine.close({ deadlineMs: 0 });
    await sleep(20);
    answer.open();
    await closing;
    expect(await running).toMatchObject({ status: "COMPLETED", output: 2 });
    expect(seen).toEqual(["COMPLETED"]);
  });

  test("an engine leaves a run if the store stays busy for longer than the lease", async () => {
    const inner = await open();
    const store = observe(inner, async (operation, carryOut) => {
      if (operation === "batch") throw busy();
      return carryOut();
    });
    const engine = makeEngine(store, { leaseMs: 40 });
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("s", (value) => value))
      .build();
    engine.register(workflow);
    const left = new Promise((resolve) => engine.on("run.left", ({ reason }) => resolve(reason)));
    await engine.start(workflow, 1);
    void engine.work();
    expect(await left).toBe("troubled");
  });

  test("a wait for a run lasts while the store is busy, for a lease at most", async () => {
    const inner = await open();
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("s", (value) => value + 1))
      .build();
    const { runId } = await makeEngine(inner).run(workflow, 1);
    let failures = 4;
    let fail: () => Error = busy;
    const store = observe(inner, async (operation, carryOut) => {
      if (operation === "getRun" && failures-- > 0) throw fail();
      return carryOut();
    });
    const waiting = makeEngine(store).wait(runId);
    expect(await waiting).toMatchObject({ status: "COMPLETED", output: 2 });
    expect(failures).toBeLessThan(0);
    failures = Infinity;
    await expect(makeEngine(store, { leaseMs: 40 }).wait(runId)).rejects.toThrow(StoreBusyError);
    const engine = makeEngine(store);
    const signal = AbortSignal.timeout(5);
    await expect(engine.wait(runId, { signal })).rejects.toHaveProperty("name", "TimeoutError");
    const closed = expect(engine.wait(runId)).rejects.toThrow(EngineClosedError);
    await engine.close();
    await closed;
    failures = 1;
    fail = lostAnswer;
    await expect(makeEngine(store).wait(runId)).rejects.toThrow(StoreConnectionError);
  });

  test("an unreadable run sends run.finished only after its failure is stored", async () => {
    const inner = await open();
    const { runId } = await inner.createRun({ workflowId: "w", input: 1 });
    let failures = 0;
    const store = observe(inner, async (operation, carryOut) => {
      if (operation === "getRun") {
        throw new CorruptRowError({ table: "workflow_runs", key: {}, column: "input" });
      }
      if (operation === "batch" && ++failures <= 3) throw busy();
      return carryOut();
    });
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("s", (value) => value))
      .build();
    const engine = makeEngine(store).register(workflow);
    const stored: string[] = [];
    const finished = makeGate();
    engine.on("run.finished", async ({ status }) => {
      stored.push(status, (await inner.getRun(runId)).status);
      finished.open();
    });
    void engine.work();
    await finished.promise;
    expect(stored).toEqual(["FAILED", "FAILED"]);
  });
});

test("a condition after a transaction is evaluated after the commit", async () => {
  const store = await openStore(await fileUrl());
  const seen: string[] = [];
  const pay = defineStep({
    id: "pay",
    input: z.number(),
    output: z.number(),
    run: (value, ctx) => ctx.transaction(async () => value + 1),
  });
  const workflow = defineWorkflow({ id: "w" })
    .step(pay)
    .stepIf(
      async (__, { runId }) => {
        seen.push((await store.getStepExecution(runId, "pay")).status);
        return false;
      },
      numberStep("next", (value) => value),
    )
    .build();
  expect(await makeEngine(store).run(workflow, 1)).toMatchObject({ output: 2 });
  expect(seen).toEqual(["COMPLETED"]);
});

test("a transaction is not begun after the time limit of its step, which passed while it was queued", async () => {
  const store = await openStore(await fileUrl());
  const over = makeGate();
  const holding = defineStep({
    id: "holding",
    input: z.number(),
    output: z.number(),
    run: (value, ctx) =>
      ctx.transaction(async () => {
        await over.promise;
        return value;
      }),
  });
  let calls = 0;
  const queued = defineStep({
    id: "queued",
    input: z.number(),
    output: z.number(),
    timeoutMs: 20,
    run: (value, ctx) => {
      ctx.signal.addEventListener("abort", () => over.open());
      return ctx.transaction(() => {
        calls += 1;
        return value;
      });
    },
  });
  const workflow = defineWorkflow({ id: "w" }).parallel(holding, queued).build();
  const run = await makeEngine(store).run(workflow, 1);
  expect(run).toMatchObject({ status: "FAILED", error: { code: "STEP_TIMEOUT" } });
  expect(calls).toBe(0);
});

test("a step whose end cannot be stored does not wait for the sleep of a parallel step", async () => {
  const inner = new MemoryStore();
  let fails = false;
  const store = observe(inner, async (operation, carryOut) => {
    if (operation !== "batch" || !fails) return carryOut();
    fails = false;
    throw new StoreConnectionError({ reason: "failed", outcome: "none", retryable: false });
  });
  const asleep = makeGate();
  let calls = 0;
  const left = numberStep("left", async (value) => {
    await asleep.promise;
    fails = ++calls === 1;
    return value;
  });
  const right = numberStep("right", async (value, ctx) => {
    await ctx.sleep(3_600_000);
    return value;
  });
  const engine = makeEngine(store);
  const workflow = defineWorkflow({ id: "w" }).parallel(left, right).build();
  void engine.register(workflow).work();
  engine.on("step.sleeping", () => asleep.open());
  const runId = await engine.start(workflow, 1);
  await expect.poll(async () => (await inner.getRun(runId)).wakeAt).not.toBeNull();
  expect(await inner.listStepExecutions(runId)).toMatchObject([
    { stepId: "left", status: "COMPLETED" },
    { stepId: "right", status: "RUNNING" },
  ]);
  expect(calls).toBe(2);
});

test.each([
  [
    "a trigger",
    "create trigger no before insert on step_outputs begin select raise(abort, 'no'); end",
    async () => 1,
  ],
  [
    "a deferred foreign key",
    "create table bills (payer integer references bills(id) deferrable initially deferred, id integer primary key)",
    (_value: number, ctx: StepContext) =>
      ctx.transaction(async (tx) => {
        await tx.run("insert into bills (payer) values (7)");
        return 1;
      }),
  ],
] as const)(
  "a step whose end %s of the app rejects has failed, and runs once",
  async (__, sql, run) => {
    const store = await openStore(await fileUrl());
    await store.db.run(sql);
    let calls = 0;
    const step = defineStep({
      id: "s",
      input: z.number(),
      output: z.number(),
      run: async (value, ctx) => {
        calls += 1;
        return run(value, ctx);
      },
    });
    const failed = await makeEngine(store).run(defineWorkflow({ id: "w" }).step(step).build(), 1);
    expect(failed).toMatchObject({ status: "FAILED", attempt: 1, error: { code: "CONSTRAINT" } });
    expect(calls).toBe(1);
    expect(await store.listStepAttempts(failed.runId)).toMatchObject([{ status: "FAILED" }]);
  },
);

test("an engine closes while the store fails during a resumed run", async () => {
  const inner = new MemoryStore();
  let failures = 0;
  const store = observe(inner, async (operation, carryOut) => {
    if (operation === "batch" && ++failures === 1) {
      throw new StoreConnectionError({ reason: "x", outcome: "none", retryable: false });
    }
    return carryOut();
  });
  const reached = makeGate();
  const step = numberStep("hangs", async (value, { signal }) => {
    reached.open();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return value;
  });
  const workflow = defineWorkflow({ id: "w" })
    .step(numberStep("first", (value) => value))
    .step(step)
    .build();
  const engine = makeEngine(store).register(workflow);
  const runId = await engine.start(workflow, 1);
  void engine.work();
  await reached.promise;
  await engine.close({ deadlineMs: 5 });
  expect(await inner.getRun(runId)).toMatchObject({ status: "PENDING", workerId: null });
});

test("the state of a run that another engine cancelled does not change", async () => {
  const store = new MemoryStore();
  const reached = makeGate<string>();
  const cancelled = makeGate();
  const refused = makeGate<unknown>();
  const step = numberStep("s", async (value, { runId, state, signal }) => {
    reached.open(runId);
    await cancelled.promise;
    await state.set("k", "late").catch(() => {});
    refused.open(signal.reason);
    return value;
  });
  const workflow = defineWorkflow({ id: "w" }).step(step).build();
  const engine = makeEngine(store);
  void engine.run(workflow, 1);
  const runId = await reached.promise;
  await makeEngine(store).cancel(runId);
  cancelled.open();
  expect(await refused.promise).toMatchObject({ code: "RUN_CANCELLED" });
  expect(await store.getAllState(runId)).toEqual({});
});

test("the methods of a context can be destructured", async () => {
  const step = numberStep("s", async (value, { sleep: pauseFor, output, state, logger }) => {
    await pauseFor(0);
    await state.set("k", value);
    logger.info({}, "hello");
    await expect(output(numberStep("s", () => 1))).rejects.toThrow();
    return value;
  });
  const workflow = defineWorkflow({ id: "w" }).step(step).build();
  expect(await makeEngine(new MemoryStore()).run(workflow, 1)).toMatchObject({ output: 1 });
});

test.each(["none", "constant", "linear", "exponential"] as const)(
  "the wait before any retry is a number, with a %s backoff",
  (backoff) => {
    for (const delayMs of [0, 1, Number.MAX_VALUE]) {
      for (const retry of [1, 2, 1024, 1025, 5000, Number.MAX_SAFE_INTEGER]) {
        const ms = retryDelayMs({ delayMs, backoff }, retry);
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(86_400_000);
      }
    }
  },
);
