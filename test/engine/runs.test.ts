import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { InvalidArgumentError, InvalidValueError, RunNotFoundError } from "../../src/errors.ts";
import { makeClock, makeEngine, makeGate, makeLogger, numberStep } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

const increment = numberStep("increment", (value) => value + 1);
const double = numberStep("double", (value) => value * 2);
const negate = numberStep("negate", (value) => -value);
const sum = defineStep({
  id: "sum",
  input: z.object({ double: z.number(), negate: z.number() }),
  output: z.object({ sum: z.number() }),
  run: (input) => ({ sum: input.double + input.negate }),
});

const nothingStep = (id: string, output: z.ZodType<null | undefined | void>) =>
  defineStep({ id, input: z.null(), output: output as z.ZodNull, run: () => {} });

describe.each(stores)("on %s", (_, open) => {
  test("each step gets the output before it, and the last output is the run's", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const workflow = defineWorkflow({ id: "w" })
      .step(increment)
      .parallel(double, negate)
      .step(sum)
      .build();
    const run = await engine.run(workflow, 2);
    expect(run).toMatchObject({
      status: "COMPLETED",
      progress: 1,
      output: { sum: 3 },
      error: null,
    });
    const steps = await store.listStepExecutions(run.runId);
    expect(steps.map((s) => [s.stepId, s.executionIndex, s.status, s.attempt, s.input])).toEqual([
      ["increment", 0, "COMPLETED", 1, 2],
      ["double", 1, "COMPLETED", 1, 3],
      ["negate", 2, "COMPLETED", 1, 3],
      ["sum", 3, "COMPLETED", 1, { double: 6, negate: -3 }],
    ]);
    for (const step of steps) {
      expect(step.startedAt?.getTime()).toBeLessThanOrEqual(step.completedAt?.getTime() ?? 0);
      expect(step.createdAt.getTime()).toBeLessThanOrEqual(step.startedAt?.getTime() ?? 0);
    }
    expect(await store.loadStepOutput(run.runId, "negate")).toBe(-3);
  });

  test("a run that ends with a parallel stage outputs the record of its outputs", async () => {
    const engine = makeEngine(await open());
    const workflow = defineWorkflow({ id: "w" }).parallel(double, negate).build();
    expect((await engine.run(workflow, 3)).output).toEqual({ double: 6, negate: -3 });
  });

  test("the steps of a parallel run at the same time", async () => {
    const engine = makeEngine(await open());
    const left = makeGate();
    const right = makeGate();
    const workflow = defineWorkflow({ id: "w" })
      .parallel(
        numberStep("left", async (value) => {
          left.open();
          await right.promise;
          return value;
        }),
        numberStep("right", async (value) => {
          right.open();
          await left.promise;
          return value;
        }),
      )
      .build();
    expect((await engine.run(workflow, 1)).status).toBe("COMPLETED");
  });

  test("a step runs if its condition is true; otherwise the next step gets its input", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const workflow = defineWorkflow({ id: "w" })
      .stepIf((value) => value > 10, negate)
      .stepIf(async (value) => value < 10, double)
      .step(increment)
      .build();
    const small = await engine.run(workflow, 4);
    expect(small.output).toBe(9);
    const statuses = async (runId: string) =>
      (await store.listStepExecutions(runId)).map(({ stepId, status }) => [stepId, status]);
    expect(await statuses(small.runId)).toEqual([
      ["negate", "SKIPPED"],
      ["double", "COMPLETED"],
      ["increment", "COMPLETED"],
    ]);
    const [skipped] = await store.listStepExecutions(small.runId);
    expect(skipped).toMatchObject({ input: 4, startedAt: null, durationMs: null, attempt: 0 });
    expect(skipped?.completedAt).toBeInstanceOf(Date);
    expect((await engine.run(workflow, 10)).output).toBe(11);
  });

  test("a run whose steps are all skipped outputs its input", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const workflow = defineWorkflow({ id: "w" })
      .stepIf(() => false, negate)
      .stepIf(() => false, double)
      .build();
    const run = await engine.run(workflow, 4);
    expect(run).toMatchObject({ status: "COMPLETED", output: 4, progress: 1 });
    expect(await store.listStepExecutions(run.runId)).toHaveLength(2);
  });

  test("a condition reads the state and the outputs of all earlier steps", async () => {
    const engine = makeEngine(await open());
    const mark = numberStep("mark", async (value, ctx) => {
      await ctx.state.set("marked", { at: value });
      return value + 1;
    });
    const workflow = defineWorkflow({ id: "w" })
      .step(increment)
      .step(mark)
      .stepIf(async (value, ctx) => {
        const marked = await ctx.state.get("marked", z.object({ at: z.number() }));
        expect(await ctx.state.all()).toEqual({ marked: { at: 6 } });
        expect(await ctx.state.get("other")).toBeUndefined();
        expect([await ctx.output(increment), await ctx.output(mark)]).toEqual([6, 7]);
        await expect(ctx.output(negate)).rejects.toThrow(InvalidArgumentError);
        return marked?.at === value - 1;
      }, double)
      .build();
    expect((await engine.run(workflow, 5)).output).toBe(14);
  });

  test("a condition that throws fails its step and the run", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const workflow = defineWorkflow({ id: "w" })
      .step(increment)
      .stepIf(() => {
        throw new RangeError("cannot tell");
      }, double)
      .build();
    const run = await engine.run(workflow, 1);
    const error = { name: "RangeError", message: "cannot tell", stepId: "double", attempt: 0 };
    expect(run).toMatchObject({ status: "FAILED", output: null, error });
    expect(await store.getStepExecution(run.runId, "double")).toMatchObject({
      status: "FAILED",
      error,
    });
  });

  test("a step that changes its input does not change that of other steps", async () => {
    const engine = makeEngine(await open());
    const box = z.object({ items: z.array(z.unknown()) });
    const boxed = z.custom<z.output<typeof box>>((value) => box.safeParse(value).success);
    const make = defineStep({
      id: "make",
      input: z.number(),
      output: boxed,
      run: (n) => ({ items: [n] }),
    });
    const spoil = <const Id extends string>(id: Id) =>
      defineStep({
        id,
        input: boxed,
        output: boxed,
        retry: { maxRetries: 1, delayMs: 0 },
        run: (input, ctx) => {
          input.items.push(id);
          if (ctx.attempt === 1) throw new Error("again");
          return input;
        },
      });
    const workflow = defineWorkflow({ id: "w" })
      .step(make)
      .parallel(spoil("a"), spoil("b"))
      .build();
    expect((await engine.run(workflow, 1)).output).toEqual({
      a: { items: [1, "a"] },
      b: { items: [1, "b"] },
    });
  });

  test("a step that returns nothing outputs null with any schema that accepts it", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const throwsAtUndefined = z.preprocess((value) => {
      if (value === undefined) throw new TypeError("undefined");
      return value;
    }, z.null());
    const workflow = defineWorkflow({ id: "w" })
      .step(nothingStep("void", z.void()))
      .step(nothingStep("null", z.null()))
      .step(nothingStep("undefined", z.undefined()))
      .step(nothingStep("throws at undefined", throwsAtUndefined))
      .build();
    const run = await engine.run(workflow, null);
    expect(run).toMatchObject({ status: "COMPLETED", output: null });
    expect(await store.loadStepOutput(run.runId, "void")).toBeNull();
  });

  test("schemas may be asynchronous, and the next step gets the parsed value", async () => {
    const engine = makeEngine(await open());
    const parse = defineStep({
      id: "parse",
      input: z.string().transform(async (text) => Number(text)),
      output: z.number().transform((value) => value + 0.5),
      run: (value) => value,
    });
    const workflow = defineWorkflow({ id: "w" }).step(parse).step(double).build();
    expect((await engine.run(workflow, "3")).output).toBe(7);
  });

  test("start stores a PENDING run with its columns and runs nothing", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const workflow = defineWorkflow({ id: "w", version: "2" }).step(increment).build();
    const options = { resourceId: "r", tags: { kind: "test" }, idempotencyKey: "once" };
    const runId = await engine.start(workflow, 1, options);
    expect(await store.getRun(runId)).toMatchObject({
      workflowId: "w",
      workflowVersion: "2",
      status: "PENDING",
      input: 1,
      attempt: 0,
      ...options,
    });
    expect(await engine.start(workflow, 2, options)).toBe(runId);
    expect((await engine.run(workflow, 3, options)).output).toBe(2);
    expect((await engine.run(workflow, 3, options)).runId).toBe(runId);
  });

  test("an input that the first steps reject starts nothing, and the error names the field", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const workflow = defineWorkflow({ id: "w" }).step(sum).build();
    const wrong = { double: 1, negate: "secret" } as unknown as { double: number; negate: number };
    const error = await engine.start(workflow, wrong).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument: "input.negate" });
    expect(String(error)).not.toContain("secret");
    expect((await store.listRuns()).runs).toEqual([]);
  });

  test("an input that JSON cannot represent starts nothing", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const step = defineStep({ id: "s", input: z.unknown(), output: z.null(), run: () => {} });
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    await expect(engine.start(workflow, { at: new Date() })).rejects.toThrow(InvalidValueError);
    expect((await store.listRuns()).runs).toEqual([]);
  });

  test("an invalid output, or one that JSON cannot represent, fails the step without a retry", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const retry = { maxRetries: 3, delayMs: 0 };
    const wrong = defineStep({
      id: "wrong",
      input: z.unknown(),
      output: z.object({ n: z.number().max(3) }),
      retry,
      run: () => ({ n: 4 }),
    });
    const date = defineStep({
      id: "date",
      input: z.unknown(),
      output: z.object({ at: z.date() }),
      retry,
      run: () => ({ at: new Date(0) }),
    });
    const first = await engine.run(defineWorkflow({ id: "w1" }).step(wrong).build(), null);
    expect(first).toMatchObject({
      status: "FAILED",
      error: { name: "StepValidationError", code: "STEP_VALIDATION", stepId: "wrong", attempt: 1 },
    });
    expect(first.error?.message).toContain("output.n");
    const second = await engine.run(defineWorkflow({ id: "w2" }).step(date).build(), null);
    expect(second).toMatchObject({
      status: "FAILED",
      error: { name: "InvalidValueError", code: "INVALID_VALUE", stepId: "date", attempt: 1 },
    });
    expect(await store.listStepExecutions(second.runId)).toMatchObject([{ status: "FAILED" }]);
  });

  test("a storable output reaches the next step through a skipped step and a parallel stage", async () => {
    const store = await open();
    const MiB = 1024 * 1024;
    const large = <const Id extends string>(id: Id, size: number) =>
      defineStep({ id, input: z.unknown(), output: z.string(), run: () => id.repeat(size) });
    const lengths = z.record(z.string(), z.string()).transform((outputs) => {
      return Object.entries(outputs).map(([id, { length }]) => `${id} ${length / MiB}`);
    });
    const workflow = defineWorkflow({ id: "w" })
      .step(large("a", 3 * MiB))
      .stepIf(() => false, large("skipped", 1))
      .parallel(large("b", 4 * MiB - 2), large("c", MiB), large("d", MiB))
      .step(
        defineStep({ id: "e", input: lengths, output: z.array(z.string()), run: (each) => each }),
      )
      .build();
    const engine = makeEngine(store);
    const run = await engine.run(workflow, "first");
    expect(run.error).toBeNull();
    expect(run.output).toEqual([`b ${4 - 2 / MiB}`, "c 1", "d 1"]);
    const steps = await store.listStepExecutions(run.runId);
    const inputs = steps.map(({ stepId, input, inputFrom }) => [
      stepId,
      inputFrom,
      typeof input === "string" ? input.length : Object.keys(input as object),
    ]);
    expect(inputs).toEqual([
      ["a", null, 5],
      ["skipped", "a", 3 * MiB],
      ["b", "a", 3 * MiB],
      ["c", "a", 3 * MiB],
      ["d", "a", 3 * MiB],
      ["e", ["b", "c", "d"], ["b", "c", "d"]],
    ]);
  });

  test("wait reads an output that is too large for the run's row from the steps", async () => {
    const store = await open();
    const large = defineStep({
      id: "large",
      input: z.null(),
      output: z.string(),
      run: () => "x".repeat(3 * 1024 * 1024),
    });
    const engine = makeEngine(store);
    const alone = await engine.run(defineWorkflow({ id: "w" }).step(large).build(), null);
    expect(alone).toMatchObject({ status: "COMPLETED", error: null, progress: 1 });
    expect(alone.output).toHaveLength(3 * 1024 * 1024);
    expect(await store.getRun(alone.runId)).toMatchObject({ status: "COMPLETED", output: null });
    const skipped = defineStep({
      id: "skipped",
      input: z.string(),
      output: z.string(),
      run: (x) => x,
    });
    const workflow = defineWorkflow({ id: "v" })
      .step(large)
      .stepIf(() => false, skipped)
      .build();
    const { runId } = await engine.run(workflow, null);
    const other = makeEngine(store).register(workflow);
    expect((await other.wait(runId)).output).toBe(alone.output);
  });

  test("the next step gets the stored output, although the step changes its object later", async () => {
    const store = await open();
    const shared = { list: [1] };
    const returned = z.object({ list: z.array(z.number()) });
    const seen: unknown[] = [];
    const make = defineStep({ id: "make", input: z.null(), output: returned, run: () => shared });
    const use = defineStep({
      id: "use",
      input: returned,
      output: z.null(),
      retry: { maxRetries: 1, delayMs: 0 },
      run: (input, { attempt }) => {
        seen.push(structuredClone(input));
        input.list.push(2);
        shared.list.push(3);
        if (attempt === 1) throw new Error("again");
        return null;
      },
    });
    const workflow = defineWorkflow({ id: "w" }).step(make).step(use).build();
    const { runId } = await makeEngine(store).run(workflow, null);
    expect(seen).toEqual([{ list: [1] }, { list: [1] }]);
    expect(await store.loadStepOutput(runId, "make")).toEqual({ list: [1] });
  });

  test("an output that its schema transforms to undefined is null", async () => {
    const step = defineStep({
      id: "s",
      input: z.null(),
      output: z.number().transform(() => undefined),
      run: () => 1,
    });
    const run = await makeEngine(await open()).run(
      defineWorkflow({ id: "w" }).step(step).build(),
      null,
    );
    expect(run).toMatchObject({ status: "COMPLETED", output: null });
  });

  test("a failed run has a progress below 1", async () => {
    const store = await open();
    const fails = numberStep("fails", () => {
      throw new Error("no");
    });
    const workflow = defineWorkflow({ id: "w" }).step(increment).parallel(double, fails).build();
    const run = await makeEngine(store).run(workflow, 1);
    expect(run).toMatchObject({ status: "FAILED", progress: 2 / 3 });
  });

  test("any number of steps run in parallel without a warning", async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error): void => void warnings.push(warning);
    process.on("warning", warn);
    const many = Array.from({ length: 25 }, (__, index) =>
      defineStep({
        id: `p${index}`,
        input: z.number(),
        output: z.number(),
        retry: { maxRetries: 1, delayMs: 20 },
        run: async (value, { attempt }) => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          if (attempt === 1) throw new Error("again");
          return value;
        },
      }),
    );
    const [first, ...rest] = many;
    const workflow = defineWorkflow({ id: "w" })
      .parallel(first!, ...rest)
      .build();
    const run = await makeEngine(await open()).run(workflow, 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off("warning", warn);
    expect(run.status).toBe("COMPLETED");
    expect(warnings).toEqual([]);
  });

  test("calls that share a signal add one listener to it", async () => {
    const engine = makeEngine(await open());
    const workflow = defineWorkflow({ id: "w" }).step(increment).build();
    const { signal } = new AbortController();
    const calls = Array.from({ length: 12 }, async () => {
      const { runId } = await engine.run(workflow, 1, { signal });
      const other = await engine.start(workflow, 1, { signal });
      for await (const { status } of engine.watch(other, { signal })) {
        expect(status).not.toBe("FAILED");
      }
      await engine.wait(runId, { signal });
    });
    const counts: number[] = [];
    const timer = setInterval(() => counts.push(getEventListeners(signal, "abort").length), 1);
    await Promise.all(calls);
    clearInterval(timer);
    expect(Math.max(...counts)).toBe(1);
  });

  test("progress is the share of ended steps", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const seen: number[] = [];
    const look = <const Id extends string>(id: Id) =>
      numberStep(id, async (value, { runId }) => {
        seen.push((await store.getRun(runId)).progress);
        return value;
      });
    const workflow = defineWorkflow({ id: "w" })
      .step(look("a"))
      .stepIf(() => false, negate)
      .step(look("b"))
      .step(look("c"))
      .build();
    await engine.run(workflow, 1);
    // A skipped step is stored before the next one begins.
    expect(seen).toEqual([0, 0.5, 0.75]);
  });

  test("rows have times of the engine's clock", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const engine = makeEngine(store, { clock });
    const slow = numberStep("slow", (value) => {
      clock.advance(1500);
      return value;
    });
    const run = await engine.run(defineWorkflow({ id: "w" }).step(slow).build(), 1);
    expect(await store.getStepExecution(run.runId, "slow")).toMatchObject({
      startedAt: new Date(clock().getTime() - 1500),
      completedAt: clock(),
      durationMs: 1500,
    });
  });

  test("waiting for an unknown run rejects", async () => {
    await expect(makeEngine(await open()).wait("nobody")).rejects.toThrow(RunNotFoundError);
  });

  test("a wait that names the workflow of a run rejects for another one", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const workflow = defineWorkflow({ id: "w" }).step(increment).build();
    const { runId } = await engine.run(workflow, 1);
    const run = await engine.wait(workflow, runId);
    expect(run).toEqual(await engine.wait(runId));
    expect(run.output).toBe(2);
    const other = defineWorkflow({ id: "other" }).step(increment).build();
    await expect(engine.wait(other, runId)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      argument: "runId",
    });
    const pending = await store.createRun({ workflowId: "w" });
    await expect(engine.wait(other, pending.runId)).rejects.toThrow(/belongs to the workflow w/);
    await expect(engine.wait({} as typeof other, runId)).rejects.toThrow(/workflow/);
  });

  test("waiting ends when its signal aborts", async () => {
    const engine = makeEngine(await open());
    const runId = await engine.start(defineWorkflow({ id: "w" }).step(increment).build(), 1);
    const controller = new AbortController();
    const waiting = engine.wait(runId, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
  });

  test("a wait ends for a run of another engine", async () => {
    const store = await open();
    const workflow = defineWorkflow({ id: "w" }).step(increment).build();
    const starter = makeEngine(store);
    const runId = await starter.start(workflow, 1);
    const waiting = starter.wait(runId);
    void makeEngine(store).register(workflow).work();
    expect(await waiting).toMatchObject({ status: "COMPLETED", output: 2 });
  });

  test("no more runs are active at once than the concurrency", async () => {
    const engine = makeEngine(await open(), { concurrency: 3 });
    let underWay = 0;
    let most = 0;
    const step = numberStep("s", async (value) => {
      most = Math.max(most, ++underWay);
      await Promise.resolve();
      underWay -= 1;
      return value * 2;
    });
    const workflow = defineWorkflow({ id: "w" }).step(step).step(increment).build();
    const runs = await Promise.all(
      Array.from({ length: 50 }, (__, index) => engine.run(workflow, index)),
    );
    expect(runs.map(({ output }) => output)).toEqual(
      Array.from({ length: 50 }, (__, index) => index * 2 + 1),
    );
    expect(most).toBeLessThanOrEqual(3);
  });

  test("each log message names its run and step", async () => {
    const logger = makeLogger();
    const engine = makeEngine(await open(), { logger });
    const step = numberStep("s", (value, ctx) => {
      ctx.logger.info({ value }, "hello");
      return value;
    });
    const run = await engine.run(defineWorkflow({ id: "w" }).step(step).build(), 7);
    expect(logger.reports).toContainEqual({
      level: "info",
      message: "hello",
      fields: { runId: run.runId, stepId: "s", attempt: 1, value: 7 },
    });
  });
});

test.each([
  ["options.concurrency", { concurrency: 0 }],
  ["options.leaseMs", { leaseMs: 1.5 }],
  ["options.workerId", { workerId: "" }],
  ["options.logger", { logger: 1 }],
  ["options.retries", { retries: 1 }],
])("refuses a wrong %s", async (argument, options) => {
  const [, open] = stores[0] ?? [];
  const store = await open?.();
  const make = (): unknown => makeEngine(store as never, options as never);
  expect(make).toThrow(expect.objectContaining({ argument }));
});

test.each([undefined, null, 7, "file:./workflows.db", {}])("refuses %s as a store", (store) => {
  const make = (): unknown => makeEngine(store as never);
  expect(make).toThrow(expect.objectContaining({ argument: "store" }));
});
