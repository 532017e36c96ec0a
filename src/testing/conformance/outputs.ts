import { describe, expect } from "vitest";
import { expectRejection, givenRun, type StoreTest } from "./environment.ts";

export function describeOutputs(test: StoreTest): void {
  describe("step outputs", () => {
    test("are saved and loaded, null included", async ({ store }) => {
      const { runId } = await givenRun(store);
      for (const output of [null, 0, "", false, [], {}, { deep: [{ x: null }] }]) {
        await store.saveStepOutput(runId, "a", output);
        expect(await store.loadStepOutput(runId, "a")).toEqual(output);
      }
    });

    test("need a run, but not the step's own row", async ({ store }) => {
      await expectRejection(store.saveStepOutput("nobody", "a", 1), "RUN_NOT_FOUND", {
        runId: "nobody",
      });
      const { runId } = await givenRun(store);
      await store.saveStepOutput(runId, "a", 1);
      expect(await store.listStepExecutions(runId)).toEqual([]);
    });

    test("that are missing are named", async ({ store }) => {
      const { runId } = await givenRun(store);
      await expectRejection(store.loadStepOutput(runId, "a"), "STEP_OUTPUT_NOT_FOUND", {
        runId,
        stepId: "a",
      });
      await expectRejection(store.loadStepOutput("nobody", "a"), "STEP_OUTPUT_NOT_FOUND");
    });

    test("are found with their row, or null", async ({ store, clock }) => {
      const { runId } = await givenRun(store);
      await store.saveStepOutput(runId, "a", null);
      const now = clock.now();
      const found = { runId, stepId: "a", output: null, createdAt: now, updatedAt: now };
      expect(await store.findStepOutput(runId, "a")).toEqual(found);
      expect(await store.findStepOutput(runId, "b")).toBeNull();
      expect(await store.findStepOutput("nobody", "a")).toBeNull();
    });

    test("keep their creation, and change their update, when they are replaced", async ({
      store,
      clock,
    }) => {
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

    test("obey the fence", async ({ store }) => {
      const { runId } = await givenRun(store, { workerId: "holder", status: "RUNNING" });
      await expectRejection(
        store.saveStepOutput(runId, "a", 1, { workerId: "stranger" }),
        "LEASE_LOST",
        { runId, workerId: "stranger" },
      );
      await expectRejection(store.loadStepOutput(runId, "a"), "STEP_OUTPUT_NOT_FOUND");
      await store.saveStepOutput(runId, "a", 1, { workerId: "holder" });
      expect(await store.loadStepOutput(runId, "a")).toBe(1);
    });
  });
}
