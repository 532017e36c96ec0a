import { expect, expectTypeOf, test } from "vitest";
import * as z from "zod";
import * as schemas from "../src/schema/zod-classic.ts";
import * as small from "../src/schema/zod.ts";

const run = {
  workflowId: "w",
  status: "PENDING",
  progress: 0.5,
  tags: { team: "a" },
  input: { a: 1 },
  createdAt: new Date(),
} as const;

test("an app extends the schema of a row, and uses those of its columns", () => {
  const labelled = schemas.newWorkflowRunSchema.extend({ label: z.string() });
  expect(labelled.parse({ ...run, label: "x" })).toEqual({ ...run, label: "x" });
  const { status } = schemas.workflowRunSchema.shape;
  expect(status.exclude(["FAILED"]).safeParse("FAILED").success).toBe(false);
  expectTypeOf<z.output<typeof labelled>["label"]>().toEqualTypeOf<string>();
  expectTypeOf<z.output<typeof labelled>["workflowId"]>().toEqualTypeOf<string>();
});

const newRuns: readonly [string, object, string | null][] = [
  ["a row", run, null],
  ["nulls", { ...run, tags: null, wakeAt: null, timeoutMs: null }, null],
  ["no workflow", { status: "PENDING" }, "Invalid input: expected nonoptional, received undefined"],
  ["an unknown column", { ...run, extra: 1 }, 'Unrecognized key: "extra"'],
  ["another status", { ...run, status: "DONE" }, "Invalid option"],
  ["a fraction", { ...run, attempt: 1.5 }, "Invalid input: expected int, received number"],
  ["a negative counter", { ...run, attempt: -1 }, "Too small: expected number to be >=0"],
  ["a progress above 1", { ...run, progress: 2 }, "Too big: expected number to be <=1"],
  ["an invalid date", { ...run, createdAt: new Date(Number.NaN) }, "Invalid input: expected date"],
  ["an empty id", { ...run, runId: "" }, "must be 1 to 255 well-formed characters without NUL"],
  ["a tag that is no text", { ...run, tags: { a: 1 } }, "must be an object of strings"],
];
test.each(newRuns)("the schemas for apps and those of the stores agree: %s", (_, row, message) => {
  const [forApps, ofStores] = [schemas.newWorkflowRunSchema, small.newWorkflowRunSchema].map(
    (schema) => schema.safeParse(row),
  );
  expect(ofStores?.success).toBe(message === null);
  expect(forApps?.data).toEqual(ofStores?.data);
  expect(forApps?.error?.issues[0]?.message ?? null).toEqual(
    message === null ? null : expect.stringContaining(message),
  );
});

test("an app can convert a schema into JSON Schema", () => {
  expect(z.toJSONSchema(schemas.stepOutputSchema, { unrepresentable: "any" })).toMatchObject({
    required: ["runId", "stepId", "output", "createdAt", "updatedAt"],
    additionalProperties: false,
  });
});
