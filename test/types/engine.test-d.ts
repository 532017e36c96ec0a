import type { Client } from "@libsql/client";
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { expectTypeOf } from "vitest";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { z as z3 } from "zod/v3";
import { stepIf } from "../../src/engine/definition/conditional-step.ts";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import type { StepDefinition, StepOutput } from "../../src/engine/definition/step-definition.ts";
import type { FinishedRun, RunId } from "../../src/engine/engine-options.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { StepFailure } from "../../src/engine/run/step-errors.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import {
  defineWorkflow,
  type Workflow,
  type WorkflowBuilder,
} from "../../src/engine/definition/workflow-builder.ts";

const add = defineStep({
  id: "add",
  input: z.object({ a: z.number(), b: z.number() }),
  output: z.object({ sum: z.number() }),
  run: async ({ a, b }, ctx) => {
    expectTypeOf(a).toBeNumber();
    expectTypeOf(ctx.attempt).toBeNumber();
    return { sum: a + b };
  },
});
const double = defineStep({
  id: "double",
  input: z.object({ sum: z.number() }),
  output: z.number(),
  run: ({ sum }) => sum * 2,
});
const name = defineStep({
  id: "name",
  input: z.object({ sum: z.number() }),
  output: z.string(),
  run: ({ sum }) => String(sum),
});
const join = defineStep({
  id: "join",
  input: z.object({ double: z.number(), name: z.string() }),
  output: z.boolean(),
  run: (input) => input.name === String(input.double),
});
const negate = defineStep({
  id: "negate",
  input: z.boolean(),
  output: z.boolean(),
  run: (value) => !value,
});

// Definitions know their id, what they accept and what they hand on.
expectTypeOf(add).toEqualTypeOf<StepDefinition<"add", { a: number; b: number }, { sum: number }>>();
expectTypeOf<StepOutput<typeof name>>().toBeString();

// A workflow accepts what its first step does, and its output is the last one's.
const calc = defineWorkflow({ id: "calc", version: "1" })
  .step(add)
  .parallel(double, name)
  .step(join)
  .stepIf((value, ctx) => {
    expectTypeOf(value).toBeBoolean();
    expectTypeOf(ctx.output(double)).resolves.toBeNumber();
    return value;
  }, negate)
  .build();
expectTypeOf(calc).toEqualTypeOf<Workflow<{ a: number; b: number }, boolean>>();

// After `parallel` the input is the outputs by step id.
expectTypeOf(defineWorkflow({ id: "w" }).step(add).parallel(double, name)).toEqualTypeOf<
  WorkflowBuilder<{ a: number; b: number }, { double: number; name: string }>
>();

// A workflow that begins side by side accepts what all of its steps accept.
const length = defineStep({
  id: "length",
  input: z.object({ text: z.string() }),
  output: z.number(),
  run: ({ text }) => text.length,
});
expectTypeOf(defineWorkflow({ id: "w" }).parallel(double, length).build()).toEqualTypeOf<
  Workflow<{ sum: number } & { text: string }, { double: number; length: number }>
>();

// A skipped step passes its input on.
expectTypeOf(
  defineWorkflow({ id: "w" })
    .step(add)
    .stepIf(({ sum }) => sum > 3, double)
    .build(),
).toEqualTypeOf<Workflow<{ a: number; b: number }, number | { sum: number }>>();
defineWorkflow({ id: "w" }).stepIf((value) => {
  expectTypeOf(value).toBeBoolean();
  return value;
}, negate);

// A step whose input is not the output of the step before does not compile.
// @ts-expect-error `negate` does not accept `{ sum: number }`.
defineWorkflow({ id: "w" }).step(add).step(negate);
// @ts-expect-error `join` does not accept `{ sum: number }`.
defineWorkflow({ id: "w" }).step(add).parallel(double, join);
// @ts-expect-error `join` also needs the output of `name`.
defineWorkflow({ id: "w" }).step(add).parallel(double).step(join);
defineWorkflow({ id: "w" })
  .step(add)
  // @ts-expect-error `join` does not accept `{ sum: number }`, whatever the condition.
  .stepIf(() => true, join);
defineWorkflow({ id: "w" })
  .step(add)
  .stepIf(() => true, name)
  // @ts-expect-error After a step that may be skipped, both outputs must be accepted.
  .step(double);
// @ts-expect-error A workflow without steps cannot be built.
defineWorkflow({ id: "w" }).build();

// What a step returns must fit its output schema.
defineStep({
  id: "wrong",
  input: z.number(),
  output: z.number(),
  // @ts-expect-error A string is no number.
  run: (value) => String(value),
});
// @ts-expect-error Only a step whose output may be null may return nothing.
defineStep({ id: "wrong", input: z.number(), output: z.number(), run: () => {} });

// A step that returns nothing outputs null; so does, possibly, one whose failure is tolerated.
const silent = defineStep({ id: "silent", input: z.number(), output: z.void(), run: () => {} });
expectTypeOf<StepOutput<typeof silent>>().toEqualTypeOf<null>();
const nothing = defineStep({ id: "nothing", input: z.number(), output: z.null(), run: () => {} });
expectTypeOf<StepOutput<typeof nothing>>().toEqualTypeOf<null>();
const maybe = defineStep({
  id: "maybe",
  input: z.number(),
  output: z.string().optional(),
  run: () => undefined,
});
expectTypeOf<StepOutput<typeof maybe>>().toEqualTypeOf<string | null>();
const lenient = defineStep({
  id: "lenient",
  input: z.boolean(),
  output: z.number(),
  continueOnError: true,
  run: () => 1,
});
expectTypeOf<StepOutput<typeof lenient>>().toEqualTypeOf<number | null>();
// @ts-expect-error The output may be null, which `silent` does not accept.
defineWorkflow({ id: "w" }).step(lenient).step(silent);

// The value for a skipped step is an output like any other.
const sizes = defineStep({
  id: "sizes",
  input: z.object({ sum: z.number() }),
  output: z.enum(["small", "large"]),
  run: () => "small" as const,
});
expectTypeOf(
  defineWorkflow({ id: "w" })
    .step(add)
    .stepIf(({ sum }) => sum > 3, double, { otherwise: 0 })
    .build(),
).toEqualTypeOf<Workflow<{ a: number; b: number }, number>>();
expectTypeOf(
  defineWorkflow({ id: "w" })
    .stepIf(({ sum }) => sum > 3, sizes, { otherwise: "small" })
    .build(),
).toEqualTypeOf<Workflow<{ sum: number }, "small" | "large">>();

// The output of a parallel step that may be skipped is its own, the given value, or null.
expectTypeOf(
  defineWorkflow({ id: "w" })
    .step(add)
    .parallel(
      stepIf((input) => {
        expectTypeOf(input).toEqualTypeOf<{ sum: number }>();
        return input.sum > 3;
      }, double),
      stepIf(() => true, name, { otherwise: "none" }),
      sizes,
    )
    .build(),
).toEqualTypeOf<
  Workflow<
    { a: number; b: number },
    { double: number | null; name: string; sizes: "small" | "large" }
  >
>();
const sum = defineWorkflow({ id: "w" }).step(add);
const doubleIf = stepIf(({ sum: value }) => value > 3, double);
// @ts-expect-error `join` accepts only an output that is not null.
sum.parallel(doubleIf, name).step(join);
// @ts-expect-error `negate` does not accept `{ sum: number }`.
sum.parallel(stepIf(() => true, negate));

// With `continueOnError` for all steps, any output may be null.
const tolerant = defineWorkflow({ id: "w", stepDefaults: { continueOnError: true } });
expectTypeOf(tolerant.parallel(double).build()).toEqualTypeOf<
  Workflow<{ sum: number }, { double: number | null }>
>();
// @ts-expect-error The output of `add` may be null, which `double` does not accept.
tolerant.step(add).step(double);

// Schemas that transform: what comes in, and what the step and its successors see.
const parse = defineStep({
  id: "parse",
  input: z.object({ n: z.string().transform(Number), unit: z.string().default("m") }),
  output: z.number().transform(String),
  run: ({ n, unit }) => {
    expectTypeOf(n).toBeNumber();
    expectTypeOf(unit).toBeString();
    return n;
  },
});
expectTypeOf(parse).toEqualTypeOf<
  StepDefinition<"parse", { n: string; unit?: string | undefined }, string>
>();

// Any library of Standard Schema has the same types, and steps of several libraries can follow each other.
const ofZod3 = defineStep({
  id: "zod3",
  input: z3.object({ n: z3.string().transform(Number), unit: z3.string().default("m") }),
  output: z3.object({ n: z3.number() }),
  run: ({ n, unit }) => {
    expectTypeOf(n).toBeNumber();
    expectTypeOf(unit).toBeString();
    return { n };
  },
});
const ofValibot = defineStep({
  id: "valibot",
  input: v.object({ n: v.number() }),
  output: v.pipe(v.number(), v.transform(String)),
  run: ({ n }) => n,
});
const ofArkType = defineStep({
  id: "arktype",
  input: type("string"),
  output: type({ length: "number", "more?": "boolean" }),
  run: (text) => ({ length: text.length }),
});
expectTypeOf(
  defineWorkflow({ id: "w" }).step(ofZod3).step(ofValibot).step(ofArkType).build(),
).toEqualTypeOf<
  Workflow<{ n: string; unit?: string | undefined }, { length: number; more?: boolean }>
>();
// @ts-expect-error The output of the step before is `{ n: number }`.
defineWorkflow({ id: "w" }).step(ofZod3).step(ofArkType);
defineStep({
  id: "wrong",
  input: type("number"),
  output: type("number"),
  // @ts-expect-error A string is no number.
  run: (value) => String(value),
});
// @ts-expect-error A type is no schema.
defineStep({ id: "wrong", input: Number, output: z.number(), run: () => 1 });

const rows = sqliteTable("app_rows", { id: integer("id").primaryKey() });

// The app's own transaction is Drizzle's, unless the step says otherwise.
defineStep({
  id: "transactional",
  input: z.number(),
  output: z.number(),
  run: async (id, ctx) =>
    ctx.transaction(async (tx) => {
      await tx.insert(rows).values({ id });
      const [row] = await tx.select().from(rows).where(eq(rows.id, id));
      return row?.id ?? 0;
    }),
});
defineStep({
  id: "other",
  input: z.number(),
  output: z.number(),
  run: (value, ctx) => ctx.transaction((tx: { count: number }) => tx.count + value),
});
defineStep({
  id: "wrong",
  input: z.number(),
  output: z.number(),
  // @ts-expect-error The transaction's result is the step's output, and a string is no number.
  run: (value, ctx) => ctx.transaction(() => String(value)),
});

// With a database, the transaction has its type: the app's tables and relations.
declare const client: Client;
const db = drizzle({ client, schema: { rows } });
const store = new LibSQLStore(db);
defineStep({
  id: "typed",
  input: z.number(),
  output: z.number(),
  run: (id, ctx) =>
    ctx.transaction(db, async (tx) => {
      await tx.insert(rows).values({ id });
      const found = await tx.query.rows.findFirst();
      expectTypeOf(found).toEqualTypeOf<{ id: number } | undefined>();
      return found?.id ?? 0;
    }),
});
defineStep({
  id: "of-the-store",
  input: z.number(),
  output: z.number().nullable(),
  run: (_, ctx) =>
    ctx.transaction(store.db, async (tx) => (await tx.query.rows.findFirst())?.id ?? null),
});
defineStep({
  id: "wrong",
  input: z.number(),
  output: z.number(),
  run: (_, ctx) =>
    // @ts-expect-error The app has no such table.
    ctx.transaction(db, async (tx) => Number((await tx.query.orders.findFirst()) !== undefined)),
});
defineStep({
  id: "wrong",
  input: z.number(),
  output: z.number(),
  // @ts-expect-error The transaction's result is the step's output, and a string is no number.
  run: (_, ctx) => ctx.transaction(db, () => "1"),
});
defineStep({
  id: "wrong",
  input: z.null(),
  output: z.null(),
  // @ts-expect-error A number is no database.
  run: (_, ctx) => ctx.transaction(1, () => null),
});

// The state is unknown until a schema reads it.
defineStep({
  id: "stateful",
  input: z.number(),
  output: z.null(),
  run: async (_, { state }) => {
    expectTypeOf(await state.get("k")).toBeUnknown();
    expectTypeOf(await state.get("k", z.number())).toEqualTypeOf<number | undefined>();
  },
});

// So are the context and the input of the run. The input and the output of a step have its types.
defineStep({
  id: "reading",
  input: z.number(),
  output: z.null(),
  run: async (_, { context, runInput, input, output, hasOutput }) => {
    expectTypeOf(await context()).toBeUnknown();
    expectTypeOf(await context(z.object({ tenant: z.string() }))).toEqualTypeOf<{
      tenant: string;
    }>();
    expectTypeOf(await runInput(z.string())).toBeString();
    expectTypeOf(await input(add)).toEqualTypeOf<{ a: number; b: number }>();
    expectTypeOf(await output(add)).toEqualTypeOf<{ sum: number }>();
    expectTypeOf(await hasOutput(add)).toBeBoolean();
  },
});

declare const engine: Engine;

void engine.start(calc, { a: 1, b: 2 }, { tags: { kind: "test" } });
// @ts-expect-error The input lacks `b`.
void engine.start(calc, { a: 1 });
// @ts-expect-error There is no such option.
void engine.start(calc, { a: 1, b: 2 }, { tag: "test" });

void db.transaction((tx) => engine.start(calc, { a: 1, b: 2 }, { tx }));
// @ts-expect-error The database is no transaction.
void engine.start(calc, { a: 1, b: 2 }, { tx: db });
// @ts-expect-error Nor is its client.
void engine.start(calc, { a: 1, b: 2 }, { tx: client });
// @ts-expect-error Nor is a promise of one.
void db.transaction((tx) => engine.start(calc, { a: 1, b: 2 }, { tx: Promise.resolve(tx) }));
// @ts-expect-error A run cannot end before its transaction commits.
void db.transaction((tx) => engine.run(calc, { a: 1, b: 2 }, { tx }));
// @ts-expect-error The database is no transaction.
void store.withTransaction(db);

// An id knows the output of its run; the id of an unknown run does not, unless the workflow is named.
const started = await engine.start(calc, { a: 1, b: 2 });
expectTypeOf(started).toExtend<string>();
const waited = await engine.wait(started);
if (waited.status === "COMPLETED") expectTypeOf(waited.output).toBeBoolean();
const unknown = await engine.wait("id");
expectTypeOf(unknown.output).toBeUnknown();
const named = await engine.wait(calc, "id");
expectTypeOf(named).toEqualTypeOf(waited);
// @ts-expect-error The output of `calc` is a boolean.
const wrong: FinishedRun<string> = await engine.wait(calc, "id");
void wrong;
// @ts-expect-error A workflow alone names no run.
void engine.wait(calc);
// @ts-expect-error An id of another workflow's run.
const foreign: RunId<string> = started;
void foreign;

const run = await engine.run(calc, { a: 1, b: 2 });
if (run.status === "COMPLETED") expectTypeOf(run.output).toBeBoolean();
else expectTypeOf(run.output).toBeNull();
if (run.status === "FAILED") expectTypeOf(run.error).toEqualTypeOf<StepFailure>();
