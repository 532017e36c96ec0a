import { expect } from "vitest";
import { rejects, givenRun, type StoreTest } from "./environment.ts";

export function describeOutputs(test: StoreTest): void {
  test("an output is saved and loaded, including null", async ({ store }) => {
    const { runId } = await givenRun(store);
    for (const output of [null, 0, "", false, [], {}, { deep: [{ x: null }] }]) {
      await store.saveStepOutput(runId, "a", output);
      expect(await store.loadStepOutput(runId, "a")).toEqual(output);
    }
  });

  test("an output needs a run, but no step execution", async ({ store }) => {
    await rejects(store.saveStepOutput("unknown", "a", 1), "RUN_NOT_FOUND", {
      runId: "unknown",
    });
    const { runId } = await givenRun(store);
    await store.saveStepOutput(runId, "a", 1);
    expect(await store.listStepExecutions(runId)).toEqual([]);
  });

  test("a missing output is reported by run and step", async ({ store }) => {
    const { runId } = await givenRun(store);
    await rejects(store.loadStepOutput(runId, "a"), "STEP_OUTPUT_NOT_FOUND", {
      runId,
      stepId: "a",
    });
    await rejects(store.loadStepOutput("unknown", "a"), "STEP_OUTPUT_NOT_FOUND");
  });

  test("an output is found with its row, or null", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    await store.saveStepOutput(runId, "a", null);
    const now = clock.now();
    const found = { runId, stepId: "a", output: null, createdAt: now, updatedAt: now };
    expect(await store.findStepOutput(runId, "a")).toEqual(found);
    expect(await store.findStepOutput(runId, "b")).toBeNull();
    expect(await store.findStepOutput("unknown", "a")).toBeNull();
  });

  test("replacing an output keeps `createdAt`", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    const createdAt = clock.now();
    await store.saveStepOutput(runId, "a", 1);
    clock.advance(10);
    await store.saveStepOutput(runId, "a", 2);
    const { bundles } = await store.readBundles();
    expect(bundles[0]?.outputs).toEqual([
      { runId, stepId: "a", output: 2, createdAt, updatedAt: clock.now() },
    ]);
  });

  test("an output needs a fence that holds", async ({ store }) => {
    const { runId } = await givenRun(store, { workerId: "holder", status: "RUNNING" });
    await rejects(store.saveStepOutput(runId, "a", 1, { workerId: "stranger" }), "LEASE_LOST", {
      runId,
      workerId: "stranger",
    });
    await rejects(store.loadStepOutput(runId, "a"), "STEP_OUTPUT_NOT_FOUND");
    await store.saveStepOutput(runId, "a", 1, { workerId: "holder" });
    expect(await store.loadStepOutput(runId, "a")).toBe(1);
  });
}
