import { expect, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { InvalidArgumentError } from "../../src/errors.ts";

const numberStep = <const Id extends string>(id: Id) =>
  defineStep({ id, input: z.number(), output: z.number(), run: (value) => value });

test("plans stages in order and numbers steps across parallel ones", () => {
  const { id, version, plan } = defineWorkflow({ id: "w", version: "7" })
    .step(numberStep("a"))
    .step(numberStep("b"))
    .parallel(numberStep("c"), numberStep("d"))
    .stepIf(
      () => true,
      defineStep({
        id: "e",
        input: z.object({ c: z.number(), d: z.number() }),
        output: z.null(),
        run: () => {},
      }),
    )
    .build();
  expect([id, version]).toEqual(["w", "7"]);
  expect(
    plan.stages.map(({ parallel, condition, steps }) => [
      parallel,
      condition !== null,
      steps.map(({ index, definition }) => [index, definition.id]),
    ]),
  ).toEqual([
    [false, false, [[0, "a"]]],
    [false, false, [[1, "b"]]],
    [true, false, [[2, "c"], [3, "d"]]], // prettier-ignore
    [false, true, [[4, "e"]]],
  ]);
});

test("defaults to version 1", () => {
  expect(defineWorkflow({ id: "w" }).step(numberStep("a")).build().version).toBe("1");
});

test("rejects two steps with the same id at any position", () => {
  const twice = defineWorkflow({ id: "w" }).step(numberStep("a")).step(numberStep("b"));
  expect(() => twice.step(numberStep("a")).build()).toThrow(InvalidArgumentError);
  expect(() => twice.parallel(numberStep("c"), numberStep("c")).build()).toThrow(/the id c$/);
});

test("does not change a builder to which a step is added", () => {
  const base = defineWorkflow({ id: "w" }).step(numberStep("a"));
  const longer = base.step(numberStep("b"));
  expect(base.build().plan.stages).toHaveLength(1);
  expect(longer.build().plan.stages).toHaveLength(2);
});

test("is not a thenable, so that a builder can be awaited", async () => {
  const builder = defineWorkflow({ id: "w" }).step(numberStep("a"));
  expect("then" in builder).toBe(false);
  expect(await Promise.resolve(builder)).toBe(builder);
});

test("builds a workflow of ten thousand steps", () => {
  let builder = defineWorkflow({ id: "w" }).step(numberStep("0"));
  for (let index = 1; index < 10_000; index++) builder = builder.step(numberStep(String(index)));
  expect(builder.build().plan.stepIds.size).toBe(10_000);
});

test.each([
  ["workflow.id", { id: "" }],
  ["workflow.version", { id: "w", version: "" }],
  ["workflow.name", { id: "w", name: "x" }],
])("refuses a wrong %s", (argument, options) => {
  expect(() => defineWorkflow(options)).toThrow(expect.objectContaining({ argument }));
});
