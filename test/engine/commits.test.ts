import { describe, expect, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import {
  defineWorkflow,
  type WorkflowBuilder,
} from "../../src/engine/definition/workflow-builder.ts";
import { makeEngine, makeGate, numberStep } from "./support/engines.ts";
import { record } from "./support/observed-store.ts";
import { fileUrl, openStore, stores } from "./support/stores.ts";
import { countWalCommits } from "../support/wal.ts";

function chain(length: number): WorkflowBuilder<number, number> {
  let builder = defineWorkflow({ id: "w" }).step(numberStep("0", (value) => value + 1));
  for (let index = 1; index < length; index++) {
    builder = builder.step(numberStep(String(index), (value) => value + 1));
  }
  return builder;
}

const flaky = defineStep({
  id: "flaky",
  input: z.number(),
  output: z.number(),
  retry: { maxRetries: 5, delayMs: 0 },
  run: (value, { attempt }) => {
    if (attempt <= 2) throw new Error("again");
    return value;
  },
});

describe.each(stores)("on %s", (_, open) => {
  test.each([1, 2, 5, 20])("%i steps in a row take one claim and a batch each", async (steps) => {
    const { store, operations } = record(await open());
    const engine = makeEngine(store);
    expect((await engine.run(chain(steps).build(), 0)).output).toBe(steps);
    // The number of reads before the claim depends on timing.
    expect(operations.filter((name) => name !== "getRun")).toEqual([
      "createRun",
      "claimRuns",
      ...Array.from({ length: steps }, () => "batch"),
    ]);
    expect(operations.at(-1)).toBe("getRun");
  });

  test("each condition costs one commit", async () => {
    const { store, operations } = record(await open());
    const engine = makeEngine(store);
    const skip = (id: string) => numberStep(id, () => -1);
    const workflow = defineWorkflow({ id: "w" })
      .stepIf(() => false, skip("s1"))
      .step(numberStep("a", (value) => value))
      .stepIf(() => false, skip("s2"))
      .stepIf(() => false, skip("s3"))
      .step(numberStep("b", (value) => value))
      .stepIf(() => false, skip("s4"))
      .build();
    await engine.run(workflow, 1);
    const [steps, conditions] = [2, 4];
    expect(operations.filter((name) => name === "batch")).toHaveLength(steps + conditions);
  });

  test("a retry costs one batch to begin and one to end", async () => {
    const { store, operations } = record(await open());
    await makeEngine(store).run(defineWorkflow({ id: "w" }).step(flaky).build(), 1);
    expect(operations.filter((name) => name === "batch")).toHaveLength(1 + 2 * 2);
  });

  test("a worker that did not start the run reads it and its first step once", async () => {
    const opened = await open();
    const workflow = chain(3).build();
    const runId = await makeEngine(opened).start(workflow, 0);
    const { store, operations } = record(opened);
    const engine = makeEngine(store);
    engine.register(workflow);
    await engine.recover();
    await engine.close();
    expect((await opened.getRun(runId)).status).toBe("COMPLETED");
    expect(operations.filter((name) => name !== "claimRuns")).toEqual([
      "getRun",
      "findStepExecution",
      "batch",
      "batch",
      "batch",
    ]);
  });

  test.each([9, 99])("resuming a run of %i steps in the middle takes four reads", async (steps) => {
    const opened = await open();
    const workflow = (stop: () => void) => {
      let builder: WorkflowBuilder<number, number> = chain(Math.floor(steps / 2));
      for (let index = Math.floor(steps / 2); index < steps; index++) {
        builder = builder.step(
          numberStep(String(index), (value) => {
            if (index === Math.floor(steps / 2)) stop();
            return value + 1;
          }),
        );
      }
      return builder.build();
    };
    const first = makeEngine(opened);
    const left = makeGate();
    const interrupted = workflow(() => {
      void first.close().then(left.open);
    });
    first.register(interrupted);
    const runId = await first.start(interrupted, 0);
    void first.work();
    await left.promise;
    const { store, operations } = record(opened);
    const second = makeEngine(store);
    second.register(workflow(() => {}));
    await second.recover();
    expect(await opened.getRun(runId)).toMatchObject({ status: "COMPLETED", output: steps });
    const reads = operations.filter((name) => name !== "claimRuns" && name !== "batch");
    // The run's input, the rows of two steps, and the output of one.
    expect(reads.toSorted()).toEqual([
      "findStepExecution",
      "findStepExecution",
      "getRun",
      "loadStepOutput",
    ]);
  });

  test("the work of a run grows linearly with its steps", async () => {
    const { store, operations } = record(await open());
    expect((await makeEngine(store).run(chain(1000).build(), 0)).output).toBe(1000);
    expect(operations.filter((name) => name === "batch")).toHaveLength(1000);
    expect(operations.length).toBeLessThan(1100);
  });
});

test.each([1, 2, 5, 20])(
  "%i steps in a row take one commit each and one for the claim",
  async (steps) => {
    const url = await fileUrl();
    const path = url.slice("file:".length);
    const store = await openStore(url);
    const engine = makeEngine(store);
    const runId = await engine.start(chain(steps).build(), 0);
    const before = await countWalCommits(path);
    engine.register(chain(steps).build());
    expect((await engine.wait(runId)).output).toBe(steps);
    await engine.close();
    expect((await countWalCommits(path)) - before).toBe(steps + 1);
  },
);
