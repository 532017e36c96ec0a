import { sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { stepIf } from "../../src/engine/definition/conditional-step.ts";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import type { StepContext } from "../../src/engine/definition/step-definition.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import {
  InvalidArgumentError,
  RunNotFoundError,
  RunTransitionError,
  StepExecutionNotFoundError,
  StoreConnectionError,
} from "../../src/errors.ts";
import { makeClock, makeEngine, makeGate, numberStep } from "./support/engines.ts";
import { observe } from "./support/observed-store.ts";
import { fileUrl, openStore, stores } from "./support/stores.ts";

/** Fails in the given number of first attempts. */
const flaky = (failures: number, maxRetries: number, calls: number[] = []) =>
  defineStep({
    id: "flaky",
    input: z.number(),
    output: z.number(),
    retry: { maxRetries, delayMs: 0 },
    run: (value, { attempt }) => {
      calls.push(attempt);
      if (attempt <= failures) throw new Error(`attempt ${attempt}`);
      return value * 2;
    },
  });

describe.each(stores)("on %s", (_, open) => {
  test("a retried run restarts only its failed step, with all retries", async () => {
    const store = await open();
    const first: number[] = [];
    const calls: number[] = [];
    const workflow = defineWorkflow({ id: "w" })
      .step(
        numberStep("first", (value) => {
          first.push(value);
          return value + 1;
        }),
      )
      .step(flaky(5, 1, calls))
      .build();
    const engine = makeEngine(store);
    const { runId, error } = await engine.run(workflow, 1);
    expect(error).toMatchObject({ message: "attempt 2", attempt: 2 });
    await engine.retry(runId);
    expect(await engine.wait(runId)).toMatchObject({
      status: "FAILED",
      error: { message: "attempt 4", attempt: 4 },
    });
    await engine.retry(runId);
    expect(await engine.wait(runId)).toMatchObject({
      status: "COMPLETED",
      output: 4,
      error: null,
      progress: 1,
    });
    expect(first).toEqual([1]);
    expect(calls).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await store.getStepExecution(runId, "flaky")).toMatchObject({
      status: "COMPLETED",
      attempt: 6,
      attemptOffset: 4,
      error: null,
    });
  });

  test("an engine that closes while it restarts parallel steps leaves none of them out", async () => {
    const store = await open();
    const asked = makeGate();
    const answer = makeGate();
    let hasFailed = false;
    const failing = numberStep("failing", (value, { attempt }) => {
      if (attempt === 1) throw new Error("no");
      return value;
    });
    const condition = async (): Promise<boolean> => {
      if (!hasFailed) {
        hasFailed = true;
        throw new Error("no");
      }
      asked.open();
      await answer.promise;
      return true;
    };
    const other = numberStep("other", (value) => value);
    const workflow = defineWorkflow({ id: "w" })
      .parallel(failing, stepIf(condition, other))
      .build();
    const first = makeEngine(store);
    const { runId, status } = await first.run(workflow, 1);
    expect(status).toBe("FAILED");
    await first.close();
    const second = makeEngine(store).register(workflow);
    await second.retry(runId);
    void second.work();
    await asked.promise;
    const closing = second.close();
    answer.open();
    await closing;
    const third = makeEngine(store).register(workflow);
    expect(await third.wait(runId)).toMatchObject({ status: "COMPLETED", error: null });
    expect(await store.getStepExecution(runId, "failing")).toMatchObject({ attempt: 2 });
  });

  test("a worker that dies while it restarts parallel steps leaves none of them out", async () => {
    const clock = makeClock();
    const inner = await open(clock);
    const fails = <const Id extends string>(id: Id) =>
      numberStep(id, (value, { attempt }) => {
        if (attempt === 1) throw new Error("no");
        return value;
      });
    const workflow = defineWorkflow({ id: "w" }).parallel(fails("a"), fails("b")).build();
    const first = makeEngine(inner, { clock });
    const { runId } = await first.run(workflow, 1);
    await first.close();
    let isDead = false;
    const store = observe(inner, async (operation, carryOut) => {
      if (isDead)
        throw new StoreConnectionError({ reason: "dead", outcome: "none", retryable: false });
      isDead = operation === "batch";
      return carryOut();
    });
    const dying = makeEngine(store, { clock }).register(workflow);
    await dying.retry(runId);
    void dying.work();
    await expect.poll(() => isDead).toBe(true);
    await dying.close({ deadlineMs: 0 });
    clock.advance(60_000);
    const next = makeEngine(inner, { clock }).register(workflow);
    expect(await next.wait(runId)).toMatchObject({ status: "COMPLETED", error: null });
    expect(await inner.listStepExecutions(runId)).toMatchObject([{ attempt: 2 }, { attempt: 2 }]);
  });

  test("all attempts are kept across retries of the run, with times, workers and errors", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("plain", (value) => value))
      .step(flaky(2, 0))
      .build();
    const first = makeEngine(store, { clock, workerId: "one" });
    const { runId } = await first.run(workflow, 1);
    const began = clock();
    clock.advance(1000);
    await first.retry(runId);
    expect((await first.wait(runId)).status).toBe("FAILED");
    await first.close();
    clock.advance(1000);
    const second = makeEngine(store, { clock, workerId: "two" });
    second.register(workflow);
    await second.retry(runId);
    expect((await second.wait(runId)).status).toBe("COMPLETED");
    const at = (ms: number) => new Date(began.getTime() + ms);
    const failure = (attempt: number) => ({
      name: "Error",
      message: `attempt ${attempt}`,
      stepId: "flaky",
      attempt,
    });
    const attempt = { runId, stepId: "flaky" };
    // A step that completes in its first attempt has only its row.
    expect(await store.listStepAttempts(runId)).toEqual([
      {
        ...attempt,
        attempt: 1,
        status: "FAILED",
        error: failure(1),
        workerId: "one",
        startedAt: at(0),
        completedAt: at(0),
      },
      {
        ...attempt,
        attempt: 2,
        status: "FAILED",
        error: failure(2),
        workerId: "one",
        startedAt: at(1000),
        completedAt: at(1000),
      },
      {
        ...attempt,
        attempt: 3,
        status: "COMPLETED",
        error: null,
        workerId: "two",
        startedAt: at(2000),
        completedAt: at(2000),
      },
    ]);
  });

  test("a retried run restarts its cancelled step with the next number", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const reached = makeGate<StepContext>();
    let hang = true;
    const workflow = defineWorkflow({ id: "w" })
      .step(
        numberStep("s", async (value, ctx) => {
          reached.open(ctx);
          if (hang) await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
          return value + ctx.attempt;
        }),
      )
      .step(numberStep("after", (value) => value))
      .build();
    const running = engine.run(workflow, 10);
    const { runId } = await reached.promise;
    // The step needs a row.
    await store.createStepExecution({ runId, stepId: "s", status: "RUNNING", attempt: 1 });
    await engine.cancel(runId);
    expect((await running).status).toBe("CANCELLED");
    hang = false;
    await engine.retry(runId);
    expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED", output: 12 });
    const attempts = await store.listStepAttempts(runId);
    expect(attempts.map((each) => [each.stepId, each.attempt, each.status])).toEqual([
      ["s", 1, "CANCELLED"],
      ["s", 2, "COMPLETED"],
    ]);
  });

  test.each([
    ["holds", true, 20, "COMPLETED", 1],
    ["does not hold", false, 2, "SKIPPED", 0],
  ])(
    "a condition that has failed is asked again, and now %s",
    async (__, answer, output, status, attempt) => {
      const store = await open();
      let asked = 0;
      const condition = (): boolean => {
        asked += 1;
        if (asked < 3) throw new Error(`not yet, time ${asked}`);
        return answer;
      };
      const workflow = defineWorkflow({ id: "w" })
        .step(numberStep("before", (value) => value + 1))
        .stepIf(
          condition,
          numberStep("doubtful", (value) => value * 10),
        )
        .build();
      const engine = makeEngine(store);
      const { runId } = await engine.run(workflow, 1);
      const rowOf = () => store.getStepExecution(runId, "doubtful");
      expect(await rowOf()).toMatchObject({
        status: "FAILED",
        error: { message: "not yet, time 1" },
      });
      await engine.retry(runId);
      expect(await engine.wait(runId)).toMatchObject({ error: { message: "not yet, time 2" } });
      expect(await rowOf()).toMatchObject({
        status: "FAILED",
        error: { message: "not yet, time 2" },
      });
      await engine.retry(runId);
      expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED", output, error: null });
      expect(await rowOf()).toMatchObject({ status, attempt, error: null, executionIndex: 1 });
      expect(asked).toBe(3);
    },
  );

  test.each([
    ["after its deadline", 0, 1],
    // One of the dead workers may have begun the first attempt.
    ["after too many lost leases", 5, 2],
  ])("the attempts of a run that failed %s, before it began, skip no number", async (...given) => {
    const [, lostLeases, first] = given;
    const clock = makeClock();
    const store = await open(clock);
    const calls: number[] = [];
    const workflow = defineWorkflow({ id: "w" })
      .step(flaky(0, 0, calls))
      .build();
    const engine = makeEngine(store, { clock }).register(workflow);
    const runId = await engine.start(workflow, 1, lostLeases === 0 ? { timeoutMs: 1000 } : {});
    for (let lost = 0; lost < lostLeases; lost++) {
      await store.claimRuns({ workerId: "dead", leaseMs: 1, limit: 1 });
      clock.advance(2);
    }
    clock.advance(1000);
    await engine.recover();
    expect(await store.getRun(runId)).toMatchObject({ status: "FAILED" });
    await engine.retry(runId);
    expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED" });
    expect(calls).toEqual([first]);
  });

  test("a run that has not ended, has completed or does not exist cannot be retried", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const workflow = defineWorkflow({ id: "w" }).step(flaky(0, 0)).build();
    const runId = await engine.start(workflow, 1);
    await expect(engine.retry(runId)).rejects.toThrow(RunTransitionError);
    const run = await engine.run(workflow, 1);
    await expect(engine.retry(run.runId)).rejects.toThrow(RunTransitionError);
    await expect(engine.retry("nobody")).rejects.toThrow(RunNotFoundError);
  });
});

test("the attempts of a run that could not be read when it was claimed skip no number", async () => {
  const store = await openStore(await fileUrl());
  const calls: number[] = [];
  const workflow = defineWorkflow({ id: "w" })
    .step(flaky(0, 0, calls))
    .build();
  const runId = await makeEngine(store).start(workflow, 1);
  await store.db.run(sql`update workflow_runs set input = '{'`);
  const engine = makeEngine(store).register(workflow);
  await engine.recover();
  await store.db.run(sql`update workflow_runs set input = '1'`);
  expect(await store.getRun(runId)).toMatchObject({ error: { code: "CORRUPT_ROW" } });
  await engine.retry(runId);
  expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED" });
  expect(calls).toEqual([1]);
});

describe.each(stores)("from a step, on %s", (_, open) => {
  const step = (id: string, calls: string[]) =>
    numberStep(id, (value, { attempt }) => {
      calls.push(`${id} ${attempt}`);
      return value + 1;
    });

  test("a completed run repeats that step and those after it", async () => {
    const store = await open();
    const calls: string[] = [];
    const workflow = defineWorkflow({ id: "w" })
      .step(step("a", calls))
      .step(step("b", calls))
      .stepIf((value) => value > 100, step("never", calls))
      .step(step("c", calls))
      .build();
    const engine = makeEngine(store);
    const { runId } = await engine.run(workflow, 1);
    await engine.retry(runId, { fromStep: "b" });
    expect(await engine.wait(runId)).toMatchObject({
      status: "COMPLETED",
      output: 4,
      attempt: 2,
      progress: 1,
    });
    expect(calls).toEqual(["a 1", "b 1", "c 1", "b 1", "c 1"]);
    expect(await store.listStepExecutions(runId)).toMatchObject([
      { stepId: "a", attempt: 1 },
      { stepId: "b", attempt: 1 },
      { stepId: "never", status: "SKIPPED" },
      { stepId: "c", attempt: 1, status: "COMPLETED" },
    ]);
    // The first step gets the run's input again.
    await engine.retry(runId, { fromStep: "a" });
    expect(await store.listStepExecutions(runId)).toMatchObject([
      { stepId: "a", status: "PENDING", attempt: 0 },
    ]);
    calls.length = 0;
    expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED", output: 4 });
    expect(calls).toEqual(["a 1", "b 1", "c 1"]);
  });

  test("of a parallel stage, the step and those listed after it restart", async () => {
    const store = await open();
    const calls: string[] = [];
    const [a, b, c] = ["a", "b", "c"].map((id) => step(id, calls));
    if (a === undefined || b === undefined || c === undefined) throw new Error("no steps");
    const sum = defineStep({
      id: "sum",
      input: z.record(z.string(), z.number()),
      output: z.number(),
      run: (values) => {
        calls.push("sum");
        return Object.values(values).reduce((total, value) => total + value, 0);
      },
    });
    const workflow = defineWorkflow({ id: "w" }).parallel(a, b, c).step(sum).build();
    const engine = makeEngine(store);
    const { runId } = await engine.run(workflow, 1);
    calls.length = 0;
    await engine.retry(runId, { fromStep: "b" });
    expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED", output: 6 });
    expect(calls.toSorted()).toEqual(["b 1", "c 1", "sum"]);
  });

  test("a failed step before it in a parallel stage restarts too", async () => {
    const store = await open();
    const calls: string[] = [];
    let fails = true;
    const failing = <const Id extends string>(id: Id) =>
      numberStep(id, (value, { attempt }) => {
        calls.push(`${id} ${attempt}`);
        if (fails) throw new Error("no");
        return value;
      });
    const workflow = defineWorkflow({ id: "w" }).parallel(failing("a"), failing("b")).build();
    const engine = makeEngine(store);
    const { runId, status } = await engine.run(workflow, 1);
    expect(status).toBe("FAILED");
    fails = false;
    await engine.retry(runId, { fromStep: "b" });
    expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED" });
    expect(calls).toEqual(["a 1", "b 1", "a 2", "b 1"]);
  });

  test("a failed run restarts from an earlier step, and its failed step counts from 1", async () => {
    const store = await open();
    const calls: string[] = [];
    const attempts: number[] = [];
    let failures = 9;
    const failing = defineStep({
      id: "failing",
      input: z.number(),
      output: z.number(),
      retry: { maxRetries: 1, backoff: "none" },
      run: (value, { attempt }) => {
        attempts.push(attempt);
        if (attempt <= failures) throw new Error("no");
        return value;
      },
    });
    const workflow = defineWorkflow({ id: "w" }).step(step("a", calls)).step(failing).build();
    const engine = makeEngine(store);
    const { runId, status } = await engine.run(workflow, 1);
    expect(status).toBe("FAILED");
    failures = 1;
    await engine.retry(runId, { fromStep: "a" });
    expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED", output: 2 });
    expect([calls, attempts]).toEqual([
      ["a 1", "a 1"],
      [1, 2, 1, 2],
    ]);
    expect(await store.listStepAttempts(runId)).toMatchObject([
      { stepId: "failing", attempt: 1, status: "FAILED" },
      { stepId: "failing", attempt: 2, status: "COMPLETED" },
    ]);
  });

  test("a step that has not begun, and a run that has not ended, are refused", async () => {
    const store = await open();
    const workflow = defineWorkflow({ id: "w" }).step(step("a", [])).build();
    const engine = makeEngine(store);
    const waiting = await engine.start(workflow, 1, { startAt: new Date(Date.now() + 60_000) });
    await expect(engine.retry(waiting, { fromStep: "a" })).rejects.toThrow(RunTransitionError);
    const { runId } = await engine.run(workflow, 1);
    await expect(engine.retry(runId, { fromStep: "b" })).rejects.toThrow(
      StepExecutionNotFoundError,
    );
    await expect(engine.retry(runId, { fromStep: "" })).rejects.toThrow(InvalidArgumentError);
  });
});
