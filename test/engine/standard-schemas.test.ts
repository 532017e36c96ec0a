import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import * as zm from "zod/mini";
import { z as z3 } from "zod/v3";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import type { StandardSchema } from "../../src/engine/definition/standard-schema.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { makeEngine } from "./support/engines.ts";
import { openStore, fileUrl, stores } from "./support/stores.ts";

interface Parcel {
  readonly items: readonly number[];
  readonly unit: string;
}

/** A parcel whose `unit` defaults to "kg", and a sum that becomes text. */
const libraries: Readonly<
  Record<
    string,
    {
      readonly parcel: StandardSchema<{ items: number[]; unit?: string | undefined }, Parcel>;
      readonly sum: StandardSchema<number, string>;
    }
  >
> = {
  "zod 4": {
    parcel: z.object({ items: z.array(z.number()), unit: z.string().default("kg") }),
    sum: z.number().transform(String),
  },
  "zod mini": {
    parcel: zm.object({ items: zm.array(zm.number()), unit: zm.prefault(zm.string(), "kg") }),
    sum: zm.pipe(zm.number(), zm.transform(String)),
  },
  "zod 3": {
    parcel: z3.object({ items: z3.array(z3.number()), unit: z3.string().default("kg") }),
    sum: z3.number().transform(async (sum) => String(sum)),
  },
  Valibot: {
    parcel: v.object({ items: v.array(v.number()), unit: v.optional(v.string(), "kg") }),
    sum: v.pipe(v.number(), v.transform(String)),
  },
  ArkType: {
    parcel: type({ items: "number[]", unit: "string = 'kg'" }),
    sum: type("number").pipe(String),
  },
};

describe.each(Object.entries(libraries))("steps with schemas of %s", (_, { parcel, sum }) => {
  const weigh = defineStep({
    id: "weigh",
    input: parcel,
    output: sum,
    run: ({ items }) => items.reduce((total, item) => total + item, 0),
  });
  const label = defineStep({
    id: "label",
    input: z.string(),
    output: z.string(),
    run: async (weight, { state }) => {
      await state.set("parcel", { items: [1] });
      const { unit = "" } = (await state.get("parcel", parcel)) ?? {};
      return `${weight} ${unit}`;
    },
  });
  const workflow = defineWorkflow({ id: "parcels" }).step(weigh).step(label).build();

  test.each(stores)("parse inputs, outputs and state on %s", async (__, open) => {
    const store = await open();
    const engine = makeEngine(store);
    const run = await engine.run(workflow, { items: [1, 2.5] });
    expect(run).toMatchObject({ status: "COMPLETED", output: "3.5 kg" });
    expect(run.input).toEqual({ items: [1, 2.5], unit: "kg" });
  });

  test("reject an input by the path of its field, without its value", async () => {
    const engine = makeEngine(await openStore(await fileUrl()));
    const secret = "a secret of 42 characters" as unknown as number;
    const refused = await engine.start(workflow, { items: [1, secret] }).catch((error) => error);
    expect(refused).toMatchObject({ code: "INVALID_ARGUMENT", argument: "input.items[1]" });
    expect(refused.message).not.toContain("secret");
  });

  test("fail if the step returns a value that its schema rejects", async () => {
    const engine = makeEngine(await openStore(await fileUrl()));
    const wrong = defineStep({
      id: "wrong",
      input: z.string(),
      output: sum,
      run: (text) => text as unknown as number,
    });
    const run = await engine.run(defineWorkflow({ id: "w" }).step(wrong).build(), "top secret");
    expect(run).toMatchObject({ status: "FAILED", error: { code: "STEP_VALIDATION" } });
    expect(JSON.stringify(run.error)).not.toContain("top secret");
  });
});

test("what is no schema is refused by name", () => {
  for (const input of [null, undefined, {}, Number, { "~standard": {} }, "string"]) {
    const options = { id: "s", input: input as never, output: z.null(), run: () => null };
    expect(() => defineStep(options)).toThrow(/step.input: must be a schema of zod 3.24/);
  }
});

const rejections: readonly [string, StandardSchema, unknown][] = [
  ["an enum of zod 3", z3.enum(["a", "b"]), "hunter"],
  ["a native enum of zod 3", z3.nativeEnum({ low: 1 }), 4711],
  ["a list of Valibot", v.picklist(["a", "b"]), "hunter"],
  ["a number of Valibot", v.pipe(v.number(), v.maxValue(5)), 4711],
  ["a union of ArkType", type("string.email | string.url"), "hunter"],
  ["a parser of ArkType", type("string.json.parse"), "hunter 4711 is a long text"],
  [
    "a union of objects of ArkType",
    type({ kind: "'a'", key: "string.email" }).or({ name: "string.url" }),
    { kind: "b", key: "hunter", name: "hunter" },
  ],
];

test.each(rejections)("%s rejects a value without quoting it", async (_, input, value) => {
  const step = defineStep({ id: "s", input, output: z.null(), run: () => null });
  const rejected = await step.parseInput(value).catch((error: unknown) => error);
  expect(rejected).toMatchObject({ code: "STEP_VALIDATION" });
  expect(String(rejected)).not.toMatch(/hunter|4711/);
});

test("ArkType's rejection of a whole value names no item", async () => {
  const step = defineStep({ id: "s", input: type("string"), output: z.null(), run: () => null });
  await expect(step.parseInput(1)).rejects.toMatchObject({ path: "input" });
});

test("an issue keeps the names of types", async () => {
  const step = defineStep({ id: "s", input: z3.number(), output: z.null(), run: () => null });
  await expect(step.parseInput("text")).rejects.toThrow("Expected number, received string");
});
