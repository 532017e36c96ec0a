import { describe, expect, test } from "vitest";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import type { Clock } from "../../src/store/clock.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { makeClock, makeEngine, numberStep } from "./support/engines.ts";
import { fileUrl, openStore, serverUrl } from "./support/stores.ts";

const failing = defineWorkflow({ id: "w" })
  .step(numberStep("first", (value) => value))
  .step(
    numberStep("s", (value) => {
      if (value < 0) throw new Error("no");
      return value;
    }),
  )
  .build();

const stores: readonly [string, (clock?: Clock) => Promise<WorkflowStore>][] = [
  ["memory", async (clock) => new MemoryStore({ clock })],
  ["a file", async (clock) => openStore(await fileUrl(), clock)],
  ["a server", async (clock) => openStore(await serverUrl(), clock)],
];

describe.each(stores)("on %s", (_, open) => {
  test("the key of a failed or cancelled run is reused on request", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const key = { idempotencyKey: "order-1" };
    const first = await engine.run(failing, -1, key);
    expect(first.status).toBe("FAILED");
    expect((await engine.run(failing, 2, key)).runId).toBe(first.runId);
    const reuse = { ...key, onExisting: "reuseKey" } as const;
    const second = await engine.run(failing, 2, reuse);
    expect(second).toMatchObject({ status: "COMPLETED", output: 2, idempotencyKey: "order-1" });
    const old = await store.getRun(first.runId);
    expect(old).toMatchObject({ status: "FAILED", idempotencyKey: null, error: first.error });
    expect(old.revision).toBe(first.revision + 1);
    expect(await store.listStepExecutions(first.runId)).toMatchObject([
      { stepId: "first", status: "COMPLETED" },
      { stepId: "s", status: "FAILED" },
    ]);
    // A completed run keeps its key.
    expect((await engine.run(failing, 3, reuse)).runId).toBe(second.runId);
    expect((await engine.run(failing, 3, key)).runId).toBe(second.runId);

    const other = { idempotencyKey: "order-2" };
    const waiting = await engine.start(failing, 1, { ...other, startAt: new Date(8e15) });
    // An unfinished run keeps its key.
    expect(await engine.start(failing, 1, { ...other, onExisting: "reuseKey" })).toBe(waiting);
    await engine.cancel(waiting);
    const third = await engine.run(failing, 4, { ...other, onExisting: "reuseKey" });
    expect(third.runId).not.toBe(waiting);
    expect(third).toMatchObject({ status: "COMPLETED", output: 4 });
    await engine.retry(waiting);
    expect(await engine.wait(waiting)).toMatchObject({ status: "COMPLETED", output: 1 });
  });

  test("of starts that reuse a key at the same time, one begins a run", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const key = { idempotencyKey: "k" };
    const { runId } = await engine.run(failing, -1, key);
    const reuse = { ...key, onExisting: "reuseKey" } as const;
    const started = await Promise.all(
      Array.from({ length: 5 }, () => engine.start(failing, 1, reuse)),
    );
    expect(new Set(started).size).toBe(1);
    expect(started).not.toContain(runId);
    const { runs } = await store.listRuns();
    expect(runs.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["k", null]);
  });

  test("a key expires", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const engine = makeEngine(store, { clock });
    const key = { idempotencyKey: "daily", keyTtlMs: 1000 };
    const first = await engine.run(failing, 1, key);
    clock.advance(999);
    expect((await engine.run(failing, 1, key)).runId).toBe(first.runId);
    clock.advance(1);
    expect(await engine.start(failing, 1, { idempotencyKey: "daily" })).toBe(first.runId);
    const second = await engine.run(failing, 2, key);
    expect(second).toMatchObject({ output: 2, idempotencyKey: "daily" });
    expect(second.runId).not.toBe(first.runId);
    expect((await engine.run(failing, 3, key)).runId).toBe(second.runId);
    expect(await store.getRun(first.runId)).toMatchObject({ idempotencyKey: null, output: 1 });
  });
});

test.each([
  ["options.onExisting", { onExisting: "reuseKey" }],
  ["options.keyTtlMs", { keyTtlMs: 5 }],
  ["options.keyTtlMs", { idempotencyKey: "k", keyTtlMs: 0 }],
  ["options.onExisting", { idempotencyKey: "k", onExisting: "replace" }],
])("refuses a wrong %s", async (argument, options) => {
  const engine = makeEngine(new MemoryStore());
  const expected = { code: "INVALID_ARGUMENT", argument };
  await expect(engine.start(failing, 1, options as object)).rejects.toMatchObject(expected);
  await expect(engine.run(failing, 1, options as object)).rejects.toMatchObject(expected);
});
