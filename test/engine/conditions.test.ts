import { describe, expect, test } from "vitest";
import { z } from "zod";
import { stepIf } from "../../src/engine/definition/conditional-step.ts";
import { defineStep } from "../../src/engine/definition/define-step.ts";
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

const show = defineStep({
  id: "show",
  input: z.unknown(),
  output: z.string(),
  run: (input) => JSON.stringify(input),
});

describe.each(stores)("on %s", (_, open) => {
  test("a skipped step with a value passes that on and has it as its output", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const workflow = defineWorkflow({ id: "w" })
      .stepIf((value) => value > 5, before, { otherwise: { small: true } })
      .step(show)
      .build();
    const { runId, output } = await engine.run(workflow, 1);
    expect(output).toBe('{"small":true}');
    expect(await store.listStepExecutions(runId)).toMatchObject([
      { stepId: "before", status: "SKIPPED", attempt: 0, input: 1 },
      { stepId: "show", status: "COMPLETED", input: { small: true } },
    ]);
    expect(await store.loadStepOutput(runId, "before")).toEqual({ small: true });
    expect((await engine.run(workflow, 9)).output).toBe("10");
  });

  test("a run that ends with a skipped step has its value as the output", async () => {
    const workflow = defineWorkflow({ id: "w" })
      .step(before)
      .stepIf(() => false, after, { otherwise: null })
      .build();
    const run = await makeEngine(await open()).run(workflow, 1);
    expect(run).toMatchObject({ status: "COMPLETED", output: null, progress: 1 });
  });

  test("the value of a skipped step reaches a worker that resumes the run", async () => {
    const store = await open();
    const reached = makeGate();
    let isBlocked = true;
    const wait = defineStep({
      id: "wait",
      input: z.unknown(),
      output: z.unknown(),
      run: async (input) => {
        reached.open();
        if (isBlocked) await new Promise(() => {});
        return input;
      },
    });
    const workflow = defineWorkflow({ id: "w" })
      .stepIf(() => false, before, { otherwise: "none" })
      .parallel(
        wait,
        stepIf(() => false, show, { otherwise: "hidden" }),
      )
      .build();
    const engine = makeEngine(store).register(workflow);
    const runId = await engine.start(workflow, 1);
    void engine.work();
    await reached.promise;
    isBlocked = false;
    await engine.close({ deadlineMs: 0 });
    const run = await makeEngine(store).register(workflow).wait(runId);
    expect(run).toMatchObject({ output: { wait: "none", show: "hidden" } });
  });

  test("a condition of a parallel step skips only that step", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const workflow = defineWorkflow({ id: "w" })
      .parallel(
        before,
        stepIf((value) => value > 5, after),
        stepIf(
          () => false,
          numberStep("never", (value) => value),
          { otherwise: -1 },
        ),
      )
      .step(show)
      .build();
    const { runId, output } = await engine.run(workflow, 1);
    expect(JSON.parse(output ?? "")).toEqual({ before: 2, after: null, never: -1 });
    const steps = await store.listStepExecutions(runId);
    expect(steps.map(({ stepId, status }) => [stepId, status])).toEqual([
      ["before", "COMPLETED"],
      ["after", "SKIPPED"],
      ["never", "SKIPPED"],
      ["show", "COMPLETED"],
    ]);
    expect(steps.at(-1)?.input).toEqual({ before: 2, after: null, never: -1 });
    const other = await engine.run(workflow, 9);
    expect(JSON.parse(other.output ?? "")).toEqual({ before: 10, after: 90, never: -1 });
  });

  test("if no parallel step runs, the run continues", async () => {
    const never = stepIf(() => false, after, { otherwise: 7 });
    const engine = makeEngine(await open());
    const last = defineWorkflow({ id: "last" }).step(before).parallel(never).build();
    expect(await engine.run(last, 1)).toMatchObject({ output: { after: 7 }, progress: 1 });
    const middle = defineWorkflow({ id: "middle" }).parallel(never).step(show).build();
    expect(await engine.run(middle, 1)).toMatchObject({ output: '{"after":7}' });
  });

  test("a condition of a parallel step that throws fails its step, the others end, and a retry evaluates it again", async () => {
    const store = await open();
    const engine = makeEngine(store);
    let calls = 0;
    let isBroken = true;
    const counted = numberStep("counted", (value) => {
      calls += 1;
      return value;
    });
    let answers = 0;
    const workflow = defineWorkflow({ id: "w" })
      .parallel(
        stepIf(() => (answers += 1) > 0, counted),
        stepIf(() => {
          if (isBroken) throw new Error("cannot decide");
          return true;
        }, after),
        stepIf(() => false, before),
      )
      .build();
    const { runId, status, error } = await engine.run(workflow, 3);
    expect([status, error?.message, calls]).toEqual(["FAILED", "cannot decide", 1]);
    expect(await store.listStepExecutions(runId)).toMatchObject([
      { stepId: "counted", status: "COMPLETED" },
      { stepId: "after", status: "FAILED", attempt: 0, error: { message: "cannot decide" } },
      { stepId: "before", status: "SKIPPED" },
    ]);
    await engine.retry(runId);
    expect(await engine.wait(runId)).toMatchObject({ status: "FAILED" });
    isBroken = false;
    await engine.retry(runId);
    expect(await engine.wait(runId)).toMatchObject({
      status: "COMPLETED",
      output: { counted: 3, after: 30, before: null },
    });
    expect([calls, answers]).toEqual([1, 1]);
    const step = await store.getStepExecution(runId, "after");
    expect(step).toMatchObject({ status: "COMPLETED", attempt: 1, error: null });
  });

  test("a condition that throws does not fail a run whose step may fail", async () => {
    const tolerated = defineStep({
      id: "tolerated",
      input: z.number(),
      output: z.number(),
      continueOnError: true,
      run: (value) => value,
    });
    const undecidable = stepIf((): boolean => {
      throw new Error("cannot decide");
    }, tolerated);
    const workflow = defineWorkflow({ id: "w" }).parallel(undecidable, before).build();
    const run = await makeEngine(await open()).run(workflow, 1);
    expect(run).toMatchObject({ status: "COMPLETED", output: { tolerated: null, before: 2 } });
  });

  test("a condition can read the skipped steps before its own", async () => {
    const seen: unknown[] = [];
    const workflow = defineWorkflow({ id: "w" })
      .stepIf(() => false, before, { otherwise: 7 })
      .stepIf(async (__, ctx) => {
        seen.push(await ctx.hasOutput(before), await ctx.output(before), await ctx.input(after));
        return false;
      }, after)
      .stepIf(async (__, ctx) => {
        seen.push(await ctx.hasOutput(after), await ctx.input(show));
        return true;
      }, show)
      .build();
    const run = await makeEngine(await open()).run(workflow, 1);
    expect(run).toMatchObject({ status: "COMPLETED", output: "7" });
    expect(seen).toEqual([true, 7, 7, false, 7]);
  });

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
