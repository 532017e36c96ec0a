import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { z } from "zod";
import { StoreBusyError } from "../../src/errors.ts";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { Engine } from "../../src/engine/engine.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { makeEngine, makeGate, makeLogger, numberStep } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

const increment = numberStep("increment", (value) => value + 1);
const adder = (version = "1") => defineWorkflow({ id: "w", version }).step(increment).build();

describe.each(stores)("on %s", (_, open) => {
  test.each([
    ["void", z.void(), undefined],
    ["undefined", z.undefined(), undefined],
    ["optional", z.string().optional(), undefined],
    ["a default", z.string().default("x"), "x"],
    ["null", z.null(), null],
    ["nullish", z.string().nullish(), null],
  ])("a workflow whose input is %s runs without input", async (name, input, seen) => {
    const given: unknown[] = [];
    const step = defineStep({
      id: "s",
      input,
      output: z.null(),
      run: (value) => {
        given.push(value);
        return null;
      },
    });
    const workflow = defineWorkflow({ id: name }).step(step).build();
    const engine = makeEngine(await open());
    const start = input instanceof z.ZodNull ? null : undefined;
    expect(await engine.run(workflow, start as never)).toMatchObject({ status: "COMPLETED" });
    expect(given).toEqual([seen]);
  });

  test("a run has the tags of its workflow and of its start", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const tags = { team: "shop", tier: "1" };
    const workflow = defineWorkflow({ id: "w", tags }).step(increment).build();
    const { runId } = await engine.run(workflow, 1, { tags: { tier: "2", who: "ada" } });
    const merged = { team: "shop", tier: "2", who: "ada" };
    expect(await store.getRun(runId)).toMatchObject({ tags: merged });
    expect(await engine.run(workflow, 1)).toMatchObject({ tags });
    expect(await engine.run(adder("2"), 1)).toMatchObject({ tags: null });
    const { runs } = await store.listRuns({ tags: { team: "shop", tier: "2" } });
    expect(runs.map((run) => run.runId)).toEqual([runId]);
  });

  test("a transaction is for start, and run rejects it before it stores anything", async () => {
    const store = await open();
    const engine = makeEngine(store);
    await expect(engine.run(adder(), 1, { tx: {} } as never)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("options.tx: is for `start`"),
    });
    expect((await store.listRuns()).runs).toEqual([]);
  });

  test("a schema fills in a default once", async () => {
    const seen: unknown[] = [];
    const step = defineStep({
      id: "s",
      input: z.object({ id: z.string().default(() => randomUUID()) }),
      output: z.null(),
      retry: { maxRetries: 2, delayMs: 0 },
      run: ({ id }) => {
        seen.push(id);
        if (seen.length < 3) throw new Error("again");
        return null;
      },
    });
    const store = await open();
    const engine = makeEngine(store);
    const { runId, status } = await engine.run(defineWorkflow({ id: "w" }).step(step).build(), {});
    expect(status).toBe("COMPLETED");
    const { input } = await store.getRun(runId);
    expect(seen).toEqual(Array.from({ length: 3 }, () => (input as { id: string }).id));
  });

  test("a schema that parses its own output differently gets the given input", async () => {
    const step = defineStep({
      id: "s",
      input: z.string().transform((text) => text.length),
      output: z.number(),
      run: (length) => length,
    });
    const engine = makeEngine(await open());
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    expect(await engine.run(workflow, "four")).toMatchObject({ output: 4 });
  });

  test("changes that the caller makes after the call do not affect the run", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const workflow = defineWorkflow({ id: "w" })
      .step(
        defineStep({
          id: "s",
          input: z.looseObject({ n: z.number() }),
          output: z.number(),
          run: ({ n }) => n,
        }),
      )
      .build();
    const input = { n: 0 };
    const tags = { n: "0" };
    const startAt = new Date(Date.now() + 60_000);
    const at = new Date(startAt);
    const starts = [];
    for (let n = 0; n < 3; n++) {
      input.n = n;
      tags.n = String(n);
      starts.push(engine.start(workflow, input, { tags, startAt }));
    }
    input.n = "refused" as never;
    tags.n = "late";
    startAt.setTime(0);
    const runs = await Promise.all((await Promise.all(starts)).map((id) => store.getRun(id)));
    expect(runs.map((run) => [run.input, run.tags, run.wakeAt])).toEqual(
      [0, 1, 2].map((n) => [{ n }, { n: String(n) }, at]),
    );
  });

  test("a step gets an input that was changed between the start and the claim", async () => {
    const store = await open();
    const step = numberStep("s", (value) => value);
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    const engine = makeEngine(store).register(workflow);
    const runId = await engine.start(workflow, 1);
    await store.updateRun(runId, { input: 2 });
    expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED", input: 2, output: 2 });
  });

  test("a key of an unregistered version's run is an error, or returns the result of an ended run", async () => {
    const store = await open();
    const first = new Engine(store);
    const idempotencyKey = "k";
    const runId = await first.start(adder("1"), 1, { idempotencyKey });
    const second = makeEngine(store);
    const newer = adder("2");
    await expect(second.run(newer, 1, { idempotencyKey })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      argument: "options.idempotencyKey",
      message: expect.stringContaining(runId),
    });
    first.register(adder("1"));
    await first.recover();
    await first.close();
    expect(await second.run(newer, 1, { idempotencyKey })).toMatchObject({
      runId,
      status: "COMPLETED",
      output: 2,
    });
  });

  test("steps run in the asynchronous context of their start, or in none", async () => {
    const tenant = new AsyncLocalStorage<string>();
    const store = await open();
    const engine = makeEngine(store);
    const seen: [number, string | null][] = [];
    const workflow = defineWorkflow({ id: "w" })
      .step(
        numberStep("s", (value) => {
          seen.push([value, tenant.getStore() ?? null]);
          return value;
        }),
      )
      .build();
    await Promise.all([
      tenant.run("a", () => engine.run(workflow, 1)),
      tenant.run("b", () => engine.run(workflow, 2)),
      engine.run(workflow, 3),
    ]);
    await store.createRun({ workflowId: "w", input: 4 });
    await engine.recover();
    expect(seen.toSorted(([a], [b]) => a - b)).toEqual([
      [1, "a"],
      [2, "b"],
      [3, null],
      [4, null],
    ]);
  });

  test("work that begins inside a transaction of the store can claim", async () => {
    const store = await open();
    const engine = makeEngine(store);
    engine.register(adder());
    const { runId } = await store.createRun({ workflowId: "w", input: 1 });
    await store.transaction(async () => void engine.work());
    await expect.poll(async () => (await store.getRun(runId)).status).toBe("COMPLETED");
  });

  test("work restarts while the loop of an aborted call ends", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const gate = makeGate();
    const began = makeGate();
    const slow = numberStep("slow", async (value) => {
      began.open();
      await gate.promise;
      return value;
    });
    const workflow = defineWorkflow({ id: "slow" }).step(slow).build();
    engine.register(workflow).register(adder());
    await engine.start(workflow, 1);
    const controller = new AbortController();
    const aborted = engine.work({ signal: controller.signal });
    await began.promise;
    controller.abort();
    const again = engine.work();
    const recovered = engine.recover();
    const runId = await engine.start(adder(), 1);
    gate.open();
    await aborted;
    expect(await engine.wait(runId)).toMatchObject({ status: "COMPLETED" });
    expect(await recovered).toBeGreaterThanOrEqual(1);
    const last = await store.createRun({ workflowId: "w", input: 1 });
    await expect.poll(async () => (await store.getRun(last.runId)).status).toBe("COMPLETED");
    await engine.close();
    await again;
  });

  test("work ends if its signal aborts while the loop of an earlier call ends", async () => {
    const engine = makeEngine(await open());
    const [began, gate] = [makeGate(), makeGate()];
    const slow = numberStep("slow", async (value) => {
      began.open();
      await gate.promise;
      return value;
    });
    const workflow = defineWorkflow({ id: "slow" }).step(slow).build();
    await engine.register(workflow).start(workflow, 1);
    const [first, second] = [new AbortController(), new AbortController()];
    const earlier = engine.work({ signal: first.signal });
    await began.promise;
    first.abort();
    const later = engine.work({ signal: second.signal });
    second.abort();
    gate.open();
    await Promise.all([earlier, later]);
  });

  test("work continues after the signal of another call has aborted", async () => {
    const store = await open();
    const engine = makeEngine(store).register(adder());
    const controller = new AbortController();
    const working = engine.work();
    const aborted = engine.work({ signal: controller.signal });
    controller.abort();
    await aborted;
    const { runId } = await store.createRun({ workflowId: "w", input: 1 });
    await expect.poll(async () => (await store.getRun(runId)).status).toBe("COMPLETED");
    await engine.close();
    await working;
  });

  test("recover counts the runs that have ended", async () => {
    const store = await open();
    const engine = makeEngine(store, { leaseMs: 100 });
    engine.register(adder());
    await engine.start(adder(), 1);
    const { batch } = store;
    let refusals = 0;
    store.batch = () => {
      refusals += 1;
      return Promise.reject(new StoreBusyError("busy"));
    };
    const recovered = engine.recover();
    await expect.poll(() => refusals).toBeGreaterThan(3);
    store.batch = batch.bind(store);
    expect(await recovered).toBe(1);
  });

  test("a busy store does not leave a cancelled run's step open", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const other = makeEngine(store, { leaseMs: 60_000 });
    const gate = makeGate();
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("s", (value) => gate.promise.then(() => value)))
      .build();
    engine.register(workflow);
    const runId = await engine.start(workflow, 1);
    void engine.work();
    await expect
      .poll(async () => (await store.listStepExecutions(runId)).map(({ status }) => status))
      .toEqual(["RUNNING"]);
    const { listStepExecutions, updateRun } = store;
    let busy = 2;
    const failFirst =
      <Args extends unknown[], Result>(work: (...args: Args) => Promise<Result>) =>
      async (...args: Args): Promise<Result> => {
        if (busy-- > 0) throw new StoreBusyError("busy");
        return work.apply(store, args);
      };
    store.listStepExecutions = failFirst(listStepExecutions) as typeof listStepExecutions;
    store.updateRun = failFirst(updateRun);
    await other.cancel(runId);
    store.listStepExecutions = listStepExecutions;
    store.updateRun = updateRun;
    expect((await store.listStepExecutions(runId)).map(({ status }) => status)).toEqual([
      "CANCELLED",
    ]);
    gate.open();
  });
});

test("a workflow that is not built is rejected by name", async () => {
  const engine = makeEngine(new MemoryStore());
  const refused = { code: "INVALID_ARGUMENT", argument: "workflow" };
  const builder = defineWorkflow({ id: "w" }).step(increment);
  for (const bad of [builder, null, undefined, "w", {}, defineWorkflow({ id: "w" })]) {
    expect(() => engine.register(bad as never)).toThrow(expect.objectContaining(refused));
    await expect(engine.start(bad as never, 1 as never)).rejects.toMatchObject(refused);
  }
  const empty = defineWorkflow({ id: "w" });
  expect(() => empty.parallel(...([] as never as [typeof increment]))).toThrow(
    expect.objectContaining({ code: "INVALID_ARGUMENT", argument: "steps" }),
  );
  expect(() => builder.step(undefined as never)).toThrow(
    expect.objectContaining({ code: "INVALID_ARGUMENT", argument: "step" }),
  );
  expect(() => builder.stepIf(undefined as never, increment)).toThrow(
    expect.objectContaining({ code: "INVALID_ARGUMENT", argument: "condition" }),
  );
});

test("an abort ends a start whose schema never answers", async () => {
  const controller = new AbortController();
  const input = z.number().refine(() => {
    setImmediate(() => controller.abort(new Error("enough")));
    return new Promise<boolean>(() => {});
  });
  const step = defineStep({ id: "s", input, output: z.null(), run: () => null });
  const workflow = defineWorkflow({ id: "w" }).step(step).build();
  const engine = makeEngine(new MemoryStore());
  const { signal } = controller;
  await expect(engine.start(workflow, 1, { signal })).rejects.toThrow("enough");
});

test("durations beyond the longest timer are rejected", async () => {
  const store = new MemoryStore();
  for (const leaseMs of [2 ** 31, 1e13, Number.MAX_SAFE_INTEGER, 0]) {
    expect(() => new Engine(store, { leaseMs })).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT", argument: "options.leaseMs" }),
    );
  }
  const engine = makeEngine(store);
  for (const deadlineMs of [2 ** 31, 1e13, -1]) {
    await expect(engine.close({ deadlineMs })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      argument: "options.deadlineMs",
    });
  }
  const startAt = new Date(8.64e15);
  await expect(engine.start(adder(), 1, { startAt, timeoutMs: 1000 })).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
  });
});

test("a step that waits for a run while it holds the last slot is logged", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const logger = makeLogger();
  const engine = makeEngine(new MemoryStore(), { concurrency: 1, logger });
  const child = adder();
  let isWaiting = false;
  const parent = defineWorkflow({ id: "parent" })
    .step(
      numberStep("p", async (value, { signal }) => {
        isWaiting = true;
        const { output } = await engine.run(child, value, { signal });
        return output ?? 0;
      }),
    )
    .build();
  const waiting = engine.run(parent, 1);
  waiting.catch(() => {});
  const isReported = () =>
    logger.reports.some(({ message }) => message.includes("all slots are taken"));
  const settle = () => new Promise((resolve) => setTimeout(resolve, 300));
  await expect.poll(() => isWaiting, { timeout: 10_000 }).toBe(true);
  await settle();
  vi.advanceTimersByTime(4_000);
  await settle();
  expect(isReported()).toBe(false);
  vi.advanceTimersByTime(1_000);
  await expect.poll(isReported, { timeout: 10_000 }).toBe(true);
  await engine.close({ deadlineMs: 0 });
});
