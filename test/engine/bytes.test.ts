import { describe, expect, test } from "vitest";
import { z } from "zod";
import { stepIf } from "../../src/engine/definition/conditional-step.ts";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { makeEngine, makeGate } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

const bytes = z.instanceof(Uint8Array);
const file = z.object({ name: z.string(), content: bytes });

const reverse = defineStep({
  id: "reverse",
  input: file,
  output: bytes,
  run: ({ content }) => content.toReversed(),
});

const never = defineStep({ id: "never", input: bytes, output: bytes, run: (content) => content });

describe.each(stores)("on %s", (_, open) => {
  test("bytes pass through inputs, outputs, conditions, the state and the context", async () => {
    const store = await open();
    const keep = defineStep({
      id: "$gorkflow.bytes",
      input: bytes,
      output: bytes,
      run: async (content, ctx) => {
        await ctx.state.set("content", { content });
        expect(await ctx.state.get("content")).toEqual({ content });
        expect(await ctx.input(reverse)).toEqual({ name: "a", content: content.toReversed() });
        expect(await ctx.context()).toEqual({ key: new Uint8Array([9]) });
        return content;
      },
    });
    const measure = defineStep({
      id: "measure",
      input: bytes,
      output: z.number(),
      run: (content) => content.length,
    });
    const workflow = defineWorkflow({ id: "w" })
      .step(reverse)
      .parallel(
        keep,
        stepIf((content) => content[0] === 3, measure),
        stepIf(() => false, never, { otherwise: new Uint8Array([7]) }),
      )
      .build();
    const input = { name: "a", content: new Uint8Array([1, 2, 3]) };
    const context = { key: new Uint8Array([9]) };
    const engine = makeEngine(store);
    const run = await engine.run(workflow, input, { context });
    const reversed = new Uint8Array([3, 2, 1]);
    const output = {
      "$gorkflow.bytes": reversed,
      measure: 3,
      never: new Uint8Array([7]),
    };
    expect(run).toMatchObject({ status: "COMPLETED", output });
    expect(await store.getRun(run.runId)).toMatchObject({ input, output });
    expect(await store.loadStepOutput(run.runId, "reverse")).toEqual(reversed);
    expect(await store.getStepExecution(run.runId, "measure")).toMatchObject({ input: reversed });
  });

  test("a worker that resumes a run gets its bytes", async () => {
    const store = await open();
    const reached = makeGate();
    let isBlocked = true;
    const wait = defineStep({
      id: "wait",
      input: bytes,
      output: bytes,
      run: async (content) => {
        reached.open();
        if (isBlocked) await new Promise(() => {});
        return content;
      },
    });
    const workflow = defineWorkflow({ id: "w" }).step(reverse).step(wait).build();
    const engine = makeEngine(store).register(workflow);
    const runId = await engine.start(workflow, { name: "a", content: new Uint8Array([1, 2]) });
    void engine.work();
    await reached.promise;
    isBlocked = false;
    await engine.close({ deadlineMs: 0 });
    const run = await makeEngine(store).register(workflow).wait(runId);
    expect(run).toMatchObject({ status: "COMPLETED", output: new Uint8Array([2, 1]) });
  });

  test("a Buffer as an output fails the step by its path", async () => {
    const workflow = defineWorkflow({ id: "w" })
      .step(
        defineStep({
          id: "s",
          input: z.null(),
          output: z.object({ content: bytes }),
          run: () => ({ content: Buffer.from("x") }),
        }),
      )
      .build();
    const run = await makeEngine(await open()).run(workflow, null);
    expect(run).toMatchObject({ status: "FAILED", error: { code: "INVALID_VALUE" } });
    expect(run.error?.message).toContain("output.content");
  });
});
