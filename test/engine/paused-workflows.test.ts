import { describe, expect, test } from "vitest";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { makeClock, makeEngine, makeGate, numberStep } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

const workflow = defineWorkflow({ id: "w" })
  .step(numberStep("s", (value) => value + 1))
  .build();

describe.each(stores)("on %s", (_, open) => {
  test("a run of a paused workflow waits, and runs after the resumption", async () => {
    const store = await open();
    const engine = makeEngine(store);
    await store.pauseWorkflow("w");
    const run = engine.run(workflow, 1);
    const runId = await engine.start(workflow, 2);
    expect(await engine.recover()).toBe(0);
    await expect(engine.wait(runId, { signal: AbortSignal.timeout(20) })).rejects.toThrow(
      "timeout",
    );
    expect(await store.countRuns()).toMatchObject({ PENDING: 2, COMPLETED: 0 });
    await store.resumeWorkflow("w");
    expect(await run).toMatchObject({ status: "COMPLETED", output: 2, attempt: 1 });
    expect(await engine.wait(runId)).toMatchObject({ output: 3 });
  });

  test("a run that has begun continues, and others of its engine are claimed", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const [begun, proceed] = [makeGate(), makeGate()];
    const slow = defineWorkflow({ id: "slow" })
      .step(
        numberStep("a", async (value) => {
          begun.open();
          await proceed.promise;
          return value;
        }),
      )
      .step(numberStep("b", (value) => value * 2))
      .build();
    const run = engine.run(slow, 4);
    await begun.promise;
    await store.pauseWorkflow("slow");
    expect(await engine.run(workflow, 1)).toMatchObject({ output: 2 });
    proceed.open();
    expect(await run).toMatchObject({ status: "COMPLETED", output: 8 });
  });

  test("a run that sleeps continues only after the resumption", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const engine = makeEngine(store, { clock });
    const nap = defineWorkflow({ id: "nap" })
      .step(
        numberStep("s", async (value, ctx) => {
          await ctx.sleep(10_000);
          return value;
        }),
      )
      .build();
    engine.register(nap);
    const runId = await engine.start(nap, 1);
    expect(await engine.recover()).toBe(0);
    await store.pauseWorkflow("nap");
    clock.advance(10_000);
    expect(await engine.recover()).toBe(0);
    expect(await store.getRun(runId)).toMatchObject({ status: "PENDING", attempt: 1 });
    await store.resumeWorkflow("nap");
    expect(await engine.recover()).toBe(1);
    expect(await store.getRun(runId)).toMatchObject({ status: "COMPLETED", attempt: 2 });
  });

  test("a run of a paused workflow can be cancelled", async () => {
    const store = await open();
    const engine = makeEngine(store);
    await store.pauseWorkflow("w");
    const runId = await engine.start(workflow, 1);
    await engine.cancel(runId);
    expect(await engine.wait(runId)).toMatchObject({ status: "CANCELLED" });
  });
});
