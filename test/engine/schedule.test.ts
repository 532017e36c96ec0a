import { describe, expect, test, vi } from "vitest";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { makeClock, makeEngine, numberStep } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

const workflow = defineWorkflow({ id: "w" })
  .step(numberStep("s", (value) => value + 1))
  .build();

describe.each(stores)("on %s", (_, open) => {
  test("nobody claims a run before its start time", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const engine = makeEngine(store, { clock });
    engine.register(workflow);
    const startAt = new Date(clock().getTime() + 60_000);
    const runId = await engine.start(workflow, 1, { startAt });
    expect(await store.getRun(runId)).toMatchObject({ status: "PENDING", wakeAt: startAt });
    const now = await engine.start(workflow, 2);
    expect(await engine.recover()).toBe(1);
    expect((await store.getRun(now)).status).toBe("COMPLETED");
    clock.advance(59_999);
    expect(await engine.recover()).toBe(0);
    clock.advance(1);
    expect(await engine.recover()).toBe(1);
    expect(await store.getRun(runId)).toMatchObject({
      status: "COMPLETED",
      output: 2,
      attempt: 1,
      startedAt: startAt,
    });
  });

  test("a start time in the past means now", async () => {
    const engine = makeEngine(await open());
    const run = await engine.run(workflow, 1, { startAt: new Date(0) });
    expect(run).toMatchObject({ status: "COMPLETED", output: 2 });
  });

  test("an idle worker of the same process claims a run at its start time", async () => {
    const store = await open();
    const engine = makeEngine(store);
    engine.register(workflow);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      void engine.work();
      for (let index = 0; index < 20; index++) await vi.advanceTimersByTimeAsync(1000);
      const runId = await engine.start(workflow, 1, { startAt: new Date(Date.now() + 50) });
      // The next poll is a second away, so only the timer can fire.
      await new Promise((resolve) => setImmediate(resolve));
      const before = await store.getRun(runId);
      expect(before.status).toBe("PENDING");
      while (Date.now() < (before.wakeAt?.getTime() ?? 0)) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      await vi.advanceTimersByTimeAsync(60);
      await vi.waitFor(async () => expect((await store.getRun(runId)).status).toBe("COMPLETED"), {
        interval: 1,
        timeout: 200,
      });
    } finally {
      vi.useRealTimers();
    }
  });

  test("an invalid date is rejected by name", async () => {
    const engine = makeEngine(await open());
    await expect(
      engine.start(workflow, 1, { startAt: 5 as unknown as Date }),
    ).rejects.toMatchObject({ code: "INVALID_ARGUMENT", argument: "options.startAt" });
  });
});
