import { describe, expect, test } from "vitest";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { makeEngine, makeGate, numberStep } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

const before = numberStep("before", (value) => value + 1);
const after = numberStep("after", (value) => value * 10);

/** A workflow with a condition at its start or in the middle that waits for a gate. */
function makeUndecided(place: "at the start" | "in the middle") {
  const reached = makeGate();
  const answer = makeGate<boolean>();
  const condition = (): Promise<boolean> => {
    reached.open();
    return answer.promise;
  };
  const workflow =
    place === "at the start"
      ? defineWorkflow({ id: "w" }).stepIf(condition, after).build()
      : defineWorkflow({ id: "w" }).step(before).stepIf(condition, after).build();
  return { workflow, reached: reached.promise, answer };
}

describe.each(stores)("on %s", (_, open) => {
  describe.each(["at the start", "in the middle"] as const)("a condition %s", (place) => {
    test("that never resolves does not keep a run from ending at its deadline", async () => {
      const { workflow } = makeUndecided(place);
      const run = await makeEngine(await open()).run(workflow, 1, { timeoutMs: 300 });
      expect(run).toMatchObject({ status: "FAILED", error: { code: "RUN_TIMEOUT" } });
    });

    test("that never resolves does not keep an engine from closing, and is evaluated again elsewhere", async () => {
      const store = await open();
      const { workflow, reached, answer } = makeUndecided(place);
      const engine = makeEngine(store).register(workflow);
      const runId = await engine.start(workflow, 1);
      void engine.work();
      await reached;
      await engine.close({ deadlineMs: 10 });
      expect(await store.getRun(runId)).toMatchObject({ status: "PENDING", workerId: null });
      answer.open(true);
      const run = await makeEngine(store).register(workflow).wait(runId);
      expect(run).toMatchObject({
        status: "COMPLETED",
        output: place === "at the start" ? 10 : 20,
      });
    });

    test("that never resolves does not keep a run from being cancelled", async () => {
      const { workflow, reached } = makeUndecided(place);
      const engine = makeEngine(await open()).register(workflow);
      const runId = await engine.start(workflow, 1);
      const waiting = engine.wait(runId);
      await reached;
      await engine.cancel(runId);
      expect(await waiting).toMatchObject({ status: "CANCELLED" });
      await engine.close();
    });
  });
});
