import { afterEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { StepTimeoutError } from "../../src/errors.ts";
import type { Backoff } from "../../src/model/backoff.ts";
import { makeEngine, makeGate, makeLogger, numberStep } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

afterEach(() => void vi.useRealTimers());

class FlakyError extends Error {
  override readonly name = "FlakyError";
  readonly code = "FLAKY";
}

const flaky = (failures: number, maxRetries: number, continueOnError = false) =>
  defineStep({
    id: "flaky",
    input: z.number(),
    output: z.number(),
    retry: { maxRetries, delayMs: 0 },
    continueOnError,
    run: (value, ctx) => {
      if (ctx.attempt <= failures) throw new FlakyError(`attempt ${ctx.attempt}`);
      return value;
    },
  });

const inspect = defineStep({
  id: "inspect",
  input: z.number().nullable(),
  output: z.string(),
  run: (value) => String(value),
});

describe.each(stores)("on %s", (_, open) => {
  test("a step that fails twice and then succeeds leaves no error behind", async () => {
    const store = await open();
    const run = await makeEngine(store).run(
      defineWorkflow({ id: "w" }).step(flaky(2, 2)).build(),
      1,
    );
    expect(run).toMatchObject({ status: "COMPLETED", error: null });
    expect(await store.getStepExecution(run.runId, "flaky")).toMatchObject({
      status: "COMPLETED",
      attempt: 3,
      error: null,
    });
  });

  test("a step that fails after its last retry fails the run with that error, and no later step begins", async () => {
    const store = await open();
    const workflow = defineWorkflow({ id: "w" }).step(flaky(9, 2)).step(inspect).build();
    const run = await makeEngine(store).run(workflow, 1);
    const error = {
      name: "FlakyError",
      code: "FLAKY",
      message: "attempt 3",
      stepId: "flaky",
      attempt: 3,
    };
    expect(run).toMatchObject({ status: "FAILED", output: null, error });
    expect(run.completedAt).toBeInstanceOf(Date);
    expect(await store.listStepExecutions(run.runId)).toMatchObject([
      { stepId: "flaky", status: "FAILED", attempt: 3, error },
    ]);
  });

  test("a retry has a row when it begins, with the error of the previous attempt", async () => {
    const store = await open();
    const seen: unknown[] = [];
    const step = defineStep({
      id: "s",
      input: z.number(),
      output: z.number(),
      retry: { maxRetries: 1, delayMs: 0 },
      run: async (value, { attempt, runId }) => {
        if (attempt === 1) throw new FlakyError("first");
        seen.push(await store.getStepExecution(runId, "s"));
        return value;
      },
    });
    await makeEngine(store).run(defineWorkflow({ id: "w" }).step(step).build(), 1);
    expect(seen).toMatchObject([
      { status: "RUNNING", attempt: 2, completedAt: null, error: { message: "first" } },
    ]);
  });

  test("a failure with continueOnError is stored, and the next step gets null", async () => {
    const store = await open();
    const workflow = defineWorkflow({ id: "w" })
      .step(flaky(9, 1, true))
      .step(inspect)
      .build();
    const run = await makeEngine(store).run(workflow, 1);
    expect(run).toMatchObject({ status: "COMPLETED", output: "null", progress: 1 });
    expect(await store.getStepExecution(run.runId, "flaky")).toMatchObject({
      status: "FAILED",
      attempt: 2,
      error: { code: "FLAKY" },
    });
    expect(await store.loadStepOutput(run.runId, "flaky")).toBeNull();
  });

  test("the defaults of a workflow apply to its steps", async () => {
    const failing = numberStep("flaky", () => {
      throw new FlakyError("no");
    });
    const workflow = defineWorkflow({
      id: "w",
      stepDefaults: { retry: { maxRetries: 2, backoff: "none" }, continueOnError: true },
    })
      .step(failing)
      .step(inspect)
      .build();
    const store = await open();
    const run = await makeEngine(store).run(workflow, 1);
    expect(run).toMatchObject({ status: "COMPLETED", output: "null" });
    const step = await store.getStepExecution(run.runId, "flaky");
    expect(step).toMatchObject({ status: "FAILED", attempt: 3 });
  });

  test("continueOnError applies to a condition that throws", async () => {
    const workflow = defineWorkflow({ id: "w" })
      .stepIf(
        () => {
          throw new FlakyError("no");
        },
        flaky(0, 0, true),
      )
      .step(inspect)
      .build();
    expect(await makeEngine(await open()).run(workflow, 1)).toMatchObject({ output: "null" });
  });

  test("if one step of a parallel stage fails, the others end first", async () => {
    const store = await open();
    const failed = makeGate();
    const slow = defineStep({
      id: "slow",
      input: z.number(),
      output: z.number(),
      retry: { maxRetries: 1, delayMs: 0 },
      run: async (value, ctx) => {
        await failed.promise;
        if (ctx.attempt === 1) throw new FlakyError("slow");
        return value;
      },
    });
    const bad = numberStep("bad", () => {
      // The others continue after this failure is stored.
      setTimeout(() => failed.open(), 0);
      throw new FlakyError("bad");
    });
    const late = numberStep("late", async () => {
      await failed.promise;
      throw new FlakyError("late");
    });
    const workflow = defineWorkflow({ id: "w" }).parallel(late, slow, bad).build();
    const run = await makeEngine(store).run(workflow, 1);
    expect(run).toMatchObject({ status: "FAILED", error: { stepId: "late" } });
    const steps = await store.listStepExecutions(run.runId);
    expect(steps.map(({ stepId, status, attempt }) => [stepId, status, attempt])).toEqual([
      ["late", "FAILED", 1],
      ["slow", "COMPLETED", 2],
      ["bad", "FAILED", 1],
    ]);
  });

  test("an attempt that exceeds its time limit fails, its signal aborts, and the next one runs", async () => {
    const store = await open();
    const reasons: unknown[] = [];
    const never = makeGate();
    const step = defineStep({
      id: "s",
      input: z.number(),
      output: z.number(),
      timeoutMs: 20,
      retry: { maxRetries: 1, delayMs: 0 },
      run: async (value, { attempt, signal }) => {
        if (attempt === 2) return value;
        signal.addEventListener("abort", () => reasons.push(signal.reason));
        // The step ignores its signal, and nobody waits for it.
        await never.promise;
        return -1;
      },
    });
    const run = await makeEngine(store).run(defineWorkflow({ id: "w" }).step(step).build(), 5);
    expect(run).toMatchObject({ status: "COMPLETED", output: 5 });
    expect(reasons).toEqual([expect.any(StepTimeoutError)]);
    expect(reasons).toMatchObject([{ stepId: "s", timeoutMs: 20 }]);
  });

  test("a context cannot be used after its attempt", async () => {
    const store = await open();
    const leaked: (() => Promise<unknown>)[] = [];
    const step = numberStep("s", (value, ctx) => {
      leaked.push(() => ctx.state.set("late", true));
      return value;
    });
    const run = await makeEngine(store).run(defineWorkflow({ id: "w" }).step(step).build(), 5);
    await expect(leaked[0]?.()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(await store.getAllState(run.runId)).toEqual({});
  });

  test("a late rejection of a step that ignores its signal is harmless", async () => {
    const store = await open();
    const proceed = makeGate();
    const late = makeGate<unknown>();
    const step = defineStep({
      id: "s",
      input: z.number(),
      output: z.number(),
      timeoutMs: 20,
      run: async (value, { state }) => {
        await proceed.promise;
        // An unhandled rejection would end the process.
        await state.set("late", true).catch((error: unknown) => {
          late.open(error);
          throw error;
        });
        return value;
      },
    });
    const run = await makeEngine(store).run(defineWorkflow({ id: "w" }).step(step).build(), 5);
    expect(run).toMatchObject({ status: "FAILED", error: { code: "STEP_TIMEOUT" } });
    proceed.open();
    expect(await late.promise).toBeInstanceOf(StepTimeoutError);
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(await store.getAllState(run.runId)).toEqual({});
    expect(await store.getRun(run.runId)).toEqual(run);
  });

  test("a step that throws an unreadable value has failed", async () => {
    const { proxy, revoke } = Proxy.revocable(new Error("x"), {});
    revoke();
    const step = numberStep("s", () => {
      throw proxy;
    });
    const engine = makeEngine(await open(), { logger: makeLogger() });
    const run = await engine.run(defineWorkflow({ id: "w" }).step(step).build(), 5);
    expect(run).toMatchObject({
      status: "FAILED",
      error: { message: "a value that cannot be read was thrown" },
    });
  });
});

test.each([
  ["none", [0, 0, 0]],
  ["constant", [100, 100, 100]],
  ["linear", [100, 200, 300]],
  ["exponential", [100, 200, 400]],
] satisfies [Backoff, number[]][])("waits before retries: %s", async (backoff, delays) => {
  const [, open] = stores[0] ?? [];
  const store = await open?.();
  if (store === undefined) throw new Error("there is no store");
  vi.useFakeTimers();
  const times: number[] = [];
  const step = defineStep({
    id: "s",
    input: z.null(),
    output: z.null(),
    retry: { maxRetries: 3, delayMs: 100, backoff },
    run: () => {
      times.push(Date.now());
      throw new FlakyError("again");
    },
  });
  const running = makeEngine(store).run(defineWorkflow({ id: "w" }).step(step).build(), null);
  await vi.advanceTimersByTimeAsync(2000);
  expect((await running).status).toBe("FAILED");
  expect(times.slice(1).map((time, index) => time - (times[index] ?? 0))).toEqual(delays);
});
