import { describe, expect, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import type { StepDefinition } from "../../src/engine/definition/step-definition.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { InvalidArgumentError, StepOutputNotFoundError } from "../../src/errors.ts";
import { makeEngine, numberStep } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

describe.each(stores)("on %s", (_, open) => {
  test("steps share the state of their run, and it stays in the store", async () => {
    const store = await open();
    const write = numberStep("write", async (value, { state }) => {
      expect(await state.get("list")).toBeUndefined();
      await state.set("list", [value]);
      await state.set("gone", 1);
      await state.set("null", null);
      return value;
    });
    const read = numberStep("read", async (value, { state }) => {
      expect(await state.get("list")).toEqual([value]);
      expect(await state.get("null")).toBeNull();
      await state.delete("gone");
      await state.delete("never there");
      expect(await state.all()).toEqual({ list: [value], null: null });
      return value;
    });
    const workflow = defineWorkflow({ id: "w" }).step(write).step(read).build();
    const run = await makeEngine(store).run(workflow, 3);
    expect(run.error).toBeNull();
    expect(await store.getAllState(run.runId)).toEqual({ list: [3], null: null });
  });

  test("state that an attempt stored is there in the next attempt", async () => {
    const step = defineStep({
      id: "s",
      input: z.null(),
      output: z.number(),
      retry: { maxRetries: 5, delayMs: 0 },
      run: async (__, { state }) => {
        const tries = (await state.get("tries", z.number())) ?? 0;
        await state.set("tries", tries + 1);
        if (tries < 2) throw new Error("again");
        return tries;
      },
    });
    const run = await makeEngine(await open()).run(
      defineWorkflow({ id: "w" }).step(step).build(),
      null,
    );
    expect(run.output).toBe(2);
  });

  test("a state value that its schema rejects fails the step, and the error names the field", async () => {
    const step = numberStep("s", async (value, { state }) => {
      await state.set("box", { n: "secret" });
      return (await state.get("box", z.object({ n: z.number() })))?.n ?? value;
    });
    const run = await makeEngine(await open()).run(
      defineWorkflow({ id: "w" }).step(step).build(),
      1,
    );
    expect(run.error).toMatchObject({ code: "STEP_VALIDATION", attempt: 1 });
    expect(run.error?.message).toContain("state.box.n");
    expect(run.error?.message).not.toContain("secret");
  });

  test("a step reads the outputs of any earlier step", async () => {
    const store = await open();
    const first = numberStep("first", (value) => value + 1);
    const second = numberStep("second", (value) => value * 10);
    const skipped = numberStep("skipped", (value) => value);
    const stranger = numberStep("stranger", (value) => value);
    const errors: unknown[] = [];
    const last = numberStep("last", async (value, ctx) => {
      for (const step of [skipped, last, stranger]) {
        errors.push(await ctx.output(step).catch((error: unknown) => error));
      }
      return (await ctx.output(first)) + (await ctx.output(second)) + value;
    });
    const workflow = defineWorkflow({ id: "w" })
      .step(first)
      .step(second)
      .stepIf(() => false, skipped)
      .step(last)
      .build();
    expect((await makeEngine(store).run(workflow, 1)).output).toBe(2 + 20 + 20);
    expect(errors[0]).toBeInstanceOf(StepOutputNotFoundError);
    expect(errors[1]).toBeInstanceOf(StepOutputNotFoundError);
    expect(errors[2]).toBeInstanceOf(InvalidArgumentError);
  });

  test("steps and conditions read the context and the input of their run", async () => {
    const store = await open();
    const engine = makeEngine(store);
    const tenant = z.object({ tenant: z.string() });
    const seen: unknown[] = [];
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("double", (value) => value * 2))
      .stepIf(
        async (_input, ctx) => {
          seen.push(await ctx.context(tenant), await ctx.runInput(z.number()));
          return true;
        },
        numberStep("last", async (value, { context, runInput }) => {
          const read = await context();
          seen.push({ ...(read as object) }, await runInput());
          Object.assign(read as object, { tenant: "changed" });
          seen.push(await context());
          await expect(context(z.object({ tenant: z.number() }))).rejects.toMatchObject({
            code: "STEP_VALIDATION",
            path: "run.context.tenant",
          });
          await expect(runInput(z.string())).rejects.toMatchObject({ path: "run.input" });
          return value;
        }),
      )
      .build();
    const context = { tenant: "acme" };
    const running = engine.run(workflow, 3, { context });
    context.tenant = "later";
    const { runId, status } = await running;
    expect(status).toBe("COMPLETED");
    const own = { tenant: "acme" };
    expect(seen).toEqual([own, 3, own, 3, own]);
    expect((await store.getRun(runId)).context).toEqual(own);
    await expect(engine.start(workflow, 1, { context: [] })).rejects.toThrow(InvalidArgumentError);
    const big = { text: "x".repeat(128 * 1024) };
    await expect(engine.start(workflow, 1, { context: big })).rejects.toMatchObject({
      code: "INVALID_VALUE",
      path: "context",
    });
  });

  test("the context is null if none was given", async () => {
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("s", async (value, ctx) => ((await ctx.context()) === null ? value : -1)))
      .build();
    expect(await makeEngine(await open()).run(workflow, 1)).toMatchObject({ output: 1 });
  });

  test("a schema for a missing input reads the one of its run", async () => {
    const optional = z.string().optional();
    const step = defineStep({
      id: "s",
      input: optional,
      output: z.string(),
      run: async (_input, { runInput }) => (await runInput(optional)) ?? "none",
    });
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    expect(await makeEngine(await open()).run(workflow, undefined)).toMatchObject({
      output: "none",
    });
  });

  test("a step reads the inputs of the steps up to itself", async () => {
    const stranger = numberStep("stranger", (value) => value);
    const first = numberStep("first", (value) => value + 1);
    const skipped = numberStep("skipped", (value) => value);
    const left = numberStep("left", (value) => value * 2);
    const right = numberStep("right", (value) => value * 3);
    const joined = z.object({ left: z.number(), right: z.number(), more: z.string().default("d") });
    const self = defineStep({ id: "last", input: joined, output: z.null(), run: () => null });
    const steps: readonly StepDefinition[] = [first, skipped, left, right, self];
    const last = defineStep({
      id: "last",
      input: joined,
      output: z.array(z.unknown()),
      run: async (_input, ctx) => {
        await expect(ctx.input(after)).rejects.toThrow(StepOutputNotFoundError);
        await expect(ctx.input(stranger)).rejects.toThrow(InvalidArgumentError);
        return Promise.all(steps.map((step) => ctx.input(step)));
      },
    });
    const after = defineStep({
      id: "after",
      input: z.array(z.unknown()),
      output: z.array(z.unknown()),
      run: (input) => input,
    });
    const workflow = defineWorkflow({ id: "w" })
      .step(first)
      .stepIf(() => false, skipped)
      .parallel(left, right)
      .step(last)
      .step(after)
      .build();
    const run = await makeEngine(await open()).run(workflow, 1);
    expect(run).toMatchObject({ output: [1, 2, 2, 2, { left: 4, right: 6 }] });
  });

  test("a step asks which steps have an output and which keys the state has", async () => {
    const first = numberStep("first", (value) => value);
    const skipped = numberStep("skipped", (value) => value);
    const valued = numberStep("valued", (value) => value);
    const answers: unknown[] = [];
    const last = numberStep("last", async (value, { hasOutput, state }) => {
      for (const step of [first, skipped, valued, last]) answers.push(await hasOutput(step));
      await expect(hasOutput(numberStep("x", () => 1))).rejects.toThrow(InvalidArgumentError);
      answers.push(await state.has("k"));
      await state.set("k", null);
      answers.push(await state.has("k"));
      return value;
    });
    const workflow = defineWorkflow({ id: "w" })
      .step(first)
      .stepIf(() => false, skipped)
      .stepIf(() => false, valued, { otherwise: 1 })
      .step(last)
      .build();
    expect(await makeEngine(await open()).run(workflow, 1)).toMatchObject({ status: "COMPLETED" });
    expect(answers).toEqual([true, false, true, false, false, true]);
  });

  test("a context has the ids of its run and step, and its attempt", async () => {
    const seen: unknown[] = [];
    const step = defineStep({
      id: "s",
      input: z.null(),
      output: z.null(),
      retry: { maxRetries: 1, delayMs: 0 },
      run: (__, { runId, stepId, attempt, signal }) => {
        seen.push([runId, stepId, attempt, signal.aborted]);
        if (attempt === 1) throw new Error("again");
      },
    });
    const { runId } = await makeEngine(await open()).run(
      defineWorkflow({ id: "w" }).step(step).build(),
      null,
    );
    expect(seen).toEqual([
      [runId, "s", 1, false],
      [runId, "s", 2, false],
    ]);
  });
});
