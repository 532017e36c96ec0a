import { describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import type { RunProgress } from "../../src/engine/run-watch.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { EngineClosedError, RunNotFoundError, StoreBusyError } from "../../src/errors.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { makeEngine, makeGate, numberStep, type Gate } from "./support/engines.ts";
import { observe, record } from "./support/observed-store.ts";
import { stores } from "./support/stores.ts";

const brief = (progress: RunProgress): string =>
  progress.kind === "run"
    ? `run ${progress.status} ${progress.progress}`
    : `${progress.stepId} ${progress.status} ${progress.attempt}`;

/** A workflow whose steps wait at gates, and the gates in order. */
function gatedWorkflow(...stepIds: readonly ["first", "second"]) {
  const gates = stepIds.map(() => makeGate());
  const [first, second] = stepIds.map((id, index) =>
    numberStep(id, async (value) => {
      await gates[index]?.promise;
      return value;
    }),
  ) as [ReturnType<typeof numberStep>, ReturnType<typeof numberStep>];
  return { workflow: defineWorkflow({ id: "w" }).step(first).step(second).build(), gates };
}

/** Reads the watch up to the line, and returns all lines in order. */
async function until(watch: AsyncGenerator<RunProgress>, line: string): Promise<string[]> {
  const lines: string[] = [];
  while (lines.at(-1) !== line) {
    const { value, done } = await watch.next();
    if (done === true) throw new Error(`the watch ended after ${lines.join(", ")}`);
    lines.push(brief(value));
  }
  return lines;
}

/** Watches a run with `watcher` while `worker` executes it. */
async function watchWhole(watcher: Engine, worker: Engine): Promise<string[]> {
  const { workflow, gates } = gatedWorkflow("first", "second");
  const [first, second] = gates as [Gate, Gate];
  const runId = await worker.start(workflow, 1);
  const watch = watcher.watch(runId);
  const lines = await until(watch, "run PENDING 0");
  worker.register(workflow);
  void worker.work();
  lines.push(...(await until(watch, "run RUNNING 0")));
  first.open();
  lines.push(...(await until(watch, "run RUNNING 0.5")));
  second.open();
  for await (const progress of watch) lines.push(brief(progress));
  // The first read may come before or after the row of the first step.
  return lines.filter((line) => line !== "first RUNNING 1");
}

const whole = [
  "run PENDING 0",
  "run RUNNING 0",
  "first COMPLETED 1",
  "second RUNNING 1",
  "run RUNNING 0.5",
  "second COMPLETED 1",
  "run COMPLETED 1",
];

describe.each(stores)("on %s", (_, open) => {
  test("a watch yields each transition of a run of this engine and ends with the run", async () => {
    const engine = makeEngine(await open());
    expect(await watchWhole(engine, engine)).toEqual(whole);
  });

  test("a watch yields each transition of a run of another engine", async () => {
    const store = await open();
    expect(await watchWhole(makeEngine(store), makeEngine(store))).toEqual(whole);
  });

  test("a watch yields the final progress of an ended run, without payloads", async () => {
    const engine = makeEngine(await open());
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("s", (value) => value))
      .build();
    const { runId, workerId } = await engine.run(workflow, 1);
    const all: RunProgress[] = [];
    for await (const progress of engine.watch(runId)) all.push(progress);
    const at = expect.any(Date);
    expect(all).toEqual([
      {
        kind: "step",
        runId,
        stepId: "s",
        status: "COMPLETED",
        attempt: 1,
        durationMs: expect.any(Number),
        at,
      },
      { kind: "run", runId, status: "COMPLETED", progress: 1, attempt: 1, workerId, at },
    ]);
  });

  test("a watch yields the steps of a cancelled run as cancelled", async () => {
    const store = await open();
    const { runId } = await store.createRun({ workflowId: "w", status: "RUNNING" });
    await store.createStepExecution({ runId, stepId: "first", status: "RUNNING", attempt: 1 });
    const watch = makeEngine(store).watch(runId);
    await until(watch, "run RUNNING 0");
    await store.updateRun(runId, { status: "CANCELLED" });
    const lines: string[] = [];
    for await (const progress of watch) lines.push(brief(progress));
    expect(lines).toEqual(["first CANCELLED 1", "run CANCELLED 0"]);
  });

  test("watches and waits end while the steps of a cancelled run are being cancelled", async () => {
    const reached = makeGate();
    const stuck = makeGate();
    const store = observe(await open(), async (operation, carryOut) => {
      if (operation === "batch") {
        reached.open();
        await stuck.promise;
      }
      return carryOut();
    });
    const { runId } = await store.createRun({ workflowId: "w", status: "RUNNING" });
    await store.createStepExecution({ runId, stepId: "first", status: "RUNNING", attempt: 1 });
    await store.updateRun(runId, { status: "CANCELLED" });
    const engine = makeEngine(store);
    const aborter = new AbortController();
    const { signal } = aborter;
    const returned = engine.watch(runId);
    const pending = [
      returned.next(),
      engine.watch(runId, { signal }).next(),
      engine.wait(runId, { signal }),
    ];
    await reached.promise;
    const ends = Promise.allSettled([...pending, returned.return()]);
    aborter.abort();
    expect(await ends).toMatchObject([
      { value: { done: true } },
      { reason: signal.reason },
      { reason: signal.reason },
      { value: { done: true } },
    ]);
    stuck.open();
  });

  test("a missing or deleted run ends the watch with an error", async () => {
    const store = await open();
    const engine = makeEngine(store);
    await expect(engine.watch("absent").next()).rejects.toThrow(RunNotFoundError);
    const { runId } = await store.createRun({ workflowId: "w" });
    const watch = engine.watch(runId);
    expect((await watch.next()).done).toBe(false);
    await store.deleteRun(runId);
    await expect(watch.next()).rejects.toThrow(RunNotFoundError);
  });
});

/** A watch that has yielded everything and waits. */
async function waitingWatch(store: WorkflowStore, engine: Engine, signal?: AbortSignal) {
  const { runId } = await store.createRun({ workflowId: "w" });
  const watch = engine.watch(runId, { signal });
  await until(watch, "run PENDING 0");
  return { runId, next: watch.next() };
}

test("the signal ends a watch immediately with its reason", async () => {
  const store = new MemoryStore();
  const engine = makeEngine(store);
  const controller = new AbortController();
  const { runId, next } = await waitingWatch(store, engine, controller.signal);
  const reason = new Error("enough");
  controller.abort(reason);
  await expect(next).rejects.toBe(reason);
  const late = engine.watch(runId, { signal: controller.signal });
  await expect(late.next()).rejects.toBe(reason);
});

test("closing the engine ends its watches", async () => {
  const store = new MemoryStore();
  const engine = makeEngine(store);
  const { next } = await waitingWatch(store, engine);
  const rejected = expect(next).rejects.toThrow(EngineClosedError);
  await engine.close();
  await rejected;
});

test("a watch lasts while the store is busy, and ends at its return", async () => {
  const inner = new MemoryStore();
  let busyReads = 2;
  const refused = makeGate();
  const store = observe(inner, async (operation, carryOut) => {
    if (operation === "createRun" || busyReads-- <= 0) return carryOut();
    if (busyReads === Infinity) refused.open();
    throw new StoreBusyError("busy");
  });
  const engine = makeEngine(store);
  const { runId } = await store.createRun({ workflowId: "w" });
  const watch = engine.watch(runId);
  expect(brief((await watch.next()).value as RunProgress)).toBe("run PENDING 0");
  busyReads = Infinity;
  const next = watch.next();
  await refused.promise;
  const ended = watch.return();
  expect(await next).toEqual({ done: true, value: undefined });
  expect(await ended).toEqual({ done: true, value: undefined });
});

test("a watch ends at its return while a read does not end", async () => {
  const reading = makeGate();
  let reads = 0;
  const store = observe(new MemoryStore(), async (operation, carryOut) => {
    if (operation === "getRun" && reads++ > 0) {
      reading.open();
      await new Promise(() => {});
    }
    return carryOut();
  });
  const watch = makeEngine(store).watch((await store.createRun({ workflowId: "w" })).runId);
  await watch.next();
  const next = watch.next();
  await reading.promise;
  expect((await watch.return()).done).toBe(true);
  expect((await next).done).toBe(true);
});

test("steps are read again only after their run has changed", async () => {
  const { store, operations } = record(new MemoryStore());
  const engine = makeEngine(store);
  const { runId, next } = await waitingWatch(store, engine);
  const reads = (name: string) => operations.filter((operation) => operation === name).length;
  while (reads("getRun") < 4) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(reads("listStepExecutions")).toBe(1);
  await store.updateRun(runId, { status: "CANCELLED" });
  expect(brief((await next).value as RunProgress)).toBe("run CANCELLED 0");
  expect(reads("listStepExecutions")).toBe(2);
});

test("a watch and a wait read no payloads before the run has ended", async () => {
  const store = new MemoryStore();
  const payloads: unknown[] = [];
  const noted = observe(store, (operation, carryOut, args) => {
    if (operation === "getRun" || operation === "listStepExecutions") {
      payloads.push((args[1] as { payloads?: boolean }).payloads);
    }
    return carryOut();
  });
  const engine = makeEngine(noted);
  const { runId, next } = await waitingWatch(noted, engine);
  const waiting = engine.wait(runId);
  while (payloads.length < 8) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(new Set(payloads)).toEqual(new Set([false]));
  await store.updateRun(runId, { status: "COMPLETED" });
  await Promise.all([next, waiting]);
  // Only the wait returns the output.
  expect(payloads.filter((read) => read !== false)).toHaveLength(1);
});

test("a watch that was stopped yields and reads nothing more", async () => {
  const { store, operations } = record(new MemoryStore());
  const engine = makeEngine(store);
  const { runId } = await store.createRun({ workflowId: "w" });
  for await (const progress of engine.watch(runId)) {
    expect(brief(progress)).toBe("run PENDING 0");
    break;
  }
  const before = operations.length;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(operations).toHaveLength(before);
});
