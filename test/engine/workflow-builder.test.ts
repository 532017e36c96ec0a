import { expect, test } from "vitest";
import { z } from "zod";
import { stepIf } from "../../src/engine/definition/conditional-step.ts";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow, type Workflow } from "../../src/engine/definition/workflow-builder.ts";
import { InvalidArgumentError, InvalidValueError } from "../../src/errors.ts";

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
    plan.stages.map(({ parallel, steps }) => [
      parallel,
      steps.map(({ index, definition }) => [index, definition.id, definition.condition !== null]),
    ]),
  ).toEqual([
    [false, [[0, "a", false]]],
    [false, [[1, "b", false]]],
    [true, [[2, "c", false], [3, "d", false]]], // prettier-ignore
    [false, [[4, "e", true]]],
  ]);
});

test("defaults to version 1", () => {
  expect(defineWorkflow({ id: "w" }).step(numberStep("a")).build().version).toBe("1");
});

test("has a name, a description and tags", () => {
  const labels = { name: "Orders", description: "From cart to parcel.", tags: { team: "shop" } };
  const workflow = defineWorkflow({ id: "w", ...labels })
    .step(numberStep("a"))
    .build();
  expect(workflow).toMatchObject(labels);
  const bare = defineWorkflow({ id: "w" }).step(numberStep("a")).build();
  expect(bare).toMatchObject({ name: null, description: null, tags: {} });
});

test("gives its steps the defaults that they leave open", () => {
  const options = { input: z.number(), output: z.number(), run: (value: number) => value };
  const own = defineStep({
    id: "own",
    ...options,
    retry: { backoff: "linear" },
    timeoutMs: null,
    continueOnError: false,
  });
  const stepDefaults = {
    retry: { maxRetries: 2, backoff: "none" },
    timeoutMs: 50,
    continueOnError: true,
  } as const;
  const settings = (builder: { build(): Workflow }) =>
    builder
      .build()
      .plan.stages.flatMap(({ steps }) => steps)
      .map(({ definition: { retry, timeoutMs, continueOnError } }) => {
        return [Object.values(retry), timeoutMs, continueOnError];
      });
  const plain = defineStep({ id: "plain", ...options });
  expect(settings(defineWorkflow({ id: "w", stepDefaults }).parallel(plain, own))).toEqual([
    [[2, 1000, "none"], 50, true],
    [[2, 1000, "linear"], null, false],
  ]);
  expect(settings(defineWorkflow({ id: "w" }).parallel(plain, own))).toEqual([
    [[0, 1000, "constant"], null, false],
    [[0, 1000, "linear"], null, false],
  ]);
});

test("rejects a condition that it cannot use", () => {
  const a = numberStep("a");
  expect(() => stepIf(true as never, a)).toThrow(/condition: must be a function/);
  const conditional = stepIf(() => true, a);
  expect(() => stepIf(() => true, conditional)).toThrow(/has a condition already/);
  expect(() => stepIf(() => true, {} as never)).toThrow(/defineStep/);
  expect(() => stepIf(() => true, a, { otherwise: new Map() })).toThrow(InvalidValueError);
  expect(() => stepIf(() => true, a, { value: 1 } as never)).toThrow(InvalidArgumentError);
});

test("rejects a copy of a step with other options, which would have no effect", () => {
  const step = defineStep({
    id: "s",
    input: z.number(),
    output: z.number(),
    retry: { maxRetries: 1 },
    run: (value) => value,
  });
  const builder = defineWorkflow({ id: "w" });
  const changes: [string, object][] = [
    ["timeoutMs", { timeoutMs: 100 }],
    ["continueOnError", { continueOnError: true }],
    ["retry", { retry: { ...step.retry, maxRetries: 2 } }],
    ["run", { run: () => 2 }],
    ["input", { input: z.string() }],
    ["output", { output: z.string() }],
  ];
  for (const [option, change] of changes) {
    const copy = { ...step, ...change };
    const expected = `is a copy of s with another \`${option}\``;
    expect(() => builder.step(copy)).toThrow(expected);
    expect(() => builder.parallel(stepIf(() => true, copy))).toThrow(expected);
  }
  const renamed = builder.step({ ...step, name: "A step", timeoutMs: null }).build();
  expect(renamed.plan.stages[0]?.steps[0]?.definition).toMatchObject({
    name: "A step",
    retry: { maxRetries: 1 },
  });
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
  ["workflow.name", { id: "w", name: "" }],
  ["workflow.title", { id: "w", title: "x" }],
  ["workflow.tags", { id: "w", tags: { team: 1 } }],
  [
    "workflow.stepDefaults.retry.maxRetries",
    { id: "w", stepDefaults: { retry: { maxRetries: -1 } } },
  ],
  ["workflow.stepDefaults.id", { id: "w", stepDefaults: { id: "s" } }],
])("refuses a wrong %s", (argument, options) => {
  // A caller without a type checker may pass this.
  expect(() => defineWorkflow(options as never)).toThrow(expect.objectContaining({ argument }));
});
