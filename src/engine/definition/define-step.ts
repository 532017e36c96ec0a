import * as z from "zod";
import { nameField, parseArgument } from "../../arguments.ts";
import { maxTimerMs } from "../../async/pause.ts";
import { StepValidationError } from "../../errors.ts";
import type { RetryPolicy } from "../../model/backoff.ts";
import { idSchema } from "../../schema/zod.ts";
import type { StepContext, StepDefinition, StepTransaction } from "./step-definition.ts";

/** What a step with this output schema may return: nothing is accepted wherever null is. */
type Returned<Output> = Output | (null extends Output ? void : never);

/** What is stored if a step returns a value of this type. */
type Stored<Output> = [Output] extends [void]
  ? null
  : Exclude<Output, undefined> | (undefined extends Output ? null : never);

export interface StepOptions<
  Id extends string,
  Input extends z.ZodType,
  Output extends z.ZodType,
  ContinueOnError extends boolean,
> {
  readonly id: Id;
  readonly input: Input;
  readonly output: Output;
  /** Attempts after the first one; defaults to none. `delayMs` defaults to 1000 and `backoff` to `none`. */
  readonly retry?: Partial<RetryPolicy> | undefined;
  /** Milliseconds after which an attempt fails with `StepTimeoutError` and its `ctx.signal` aborts. */
  readonly timeoutMs?: number | undefined;
  /** If true, the run continues when the step has failed for good. The output is then null. */
  readonly continueOnError?: ContinueOnError | undefined;
  readonly run: (
    input: z.output<Input>,
    ctx: StepContext,
  ) =>
    | Returned<z.input<Output>>
    | StepTransaction<Returned<z.input<Output>>>
    | Promise<Returned<z.input<Output>> | StepTransaction<Returned<z.input<Output>>>>;
}

const isSchema = (value: unknown): value is z.ZodType => value instanceof z.ZodType;
const isFunction = (value: unknown): boolean => typeof value === "function";

const retrySchema = z.strictObject({
  maxRetries: z.int().min(0).default(0),
  delayMs: z.number().min(0).default(1000),
  backoff: z.enum(["none", "linear", "exponential"]).default("none"),
});

const optionsSchema = z.strictObject({
  id: idSchema,
  input: z.custom(isSchema, "must be a zod schema"),
  output: z.custom(isSchema, "must be a zod schema"),
  retry: retrySchema.prefault({}),
  timeoutMs: z.int().min(1).max(maxTimerMs).optional(),
  continueOnError: z.boolean().default(false),
  run: z.custom(isFunction, "must be a function"),
});

/**
 * Defines a step.
 *
 * `run` is called again after a failure, and after a crash in the middle of it. Its effects outside the store must
 * tolerate that, or happen in `return ctx.transaction(…)`.
 *
 * @throws {InvalidArgumentError} that names the option.
 */
export function defineStep<
  const Id extends string,
  Input extends z.ZodType,
  Output extends z.ZodType,
  const ContinueOnError extends boolean = false,
>(
  options: StepOptions<Id, Input, Output, ContinueOnError>,
): StepDefinition<
  Id,
  z.input<Input>,
  Stored<z.output<Output>> | (true extends ContinueOnError ? null : never)
> {
  const { retry, timeoutMs, continueOnError } = parseArgument(optionsSchema, options, "step");
  const { id, input: inputSchema, output: outputSchema, run } = options;
  return Object.freeze({
    id,
    retry: Object.freeze(retry),
    timeoutMs: timeoutMs ?? null,
    continueOnError,
    inputSchema,
    parseInput: async (input: unknown) => {
      // A missing input is stored as null.
      const isNothing =
        input === null &&
        !(await inputSchema.safeParseAsync(null)).success &&
        (await inputSchema.safeParseAsync(undefined)).success;
      const given = isNothing ? undefined : input;
      return parseStepValue(inputSchema, given, { stepId: id, root: "input" });
    },
    // The input schema made the input.
    invoke: async (input: unknown, ctx: StepContext) => run(input as z.output<Input>, ctx),
    parseOutput: async (returned: unknown) => {
      const place = { stepId: id, root: "output" };
      const acceptsNothing =
        returned === undefined && (await outputSchema.safeParseAsync(undefined)).success;
      const value = returned === undefined && !acceptsNothing ? null : returned;
      return (await parseStepValue(outputSchema, value, place)) ?? null;
    },
  });
}

/** The value that a schema makes of another, or the place where that does not fit and the rule it breaks. */
export type Parsed<Value> =
  | { readonly fits: true; readonly value: Value }
  | { readonly fits: false; readonly path: string; readonly reason: string };

/** Parses `value` with `schema`. `root` names the value: `output.items[2]`. */
export async function parseValue<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  root: string,
): Promise<Parsed<z.output<Schema>>> {
  const { success, data, error } = await schema.safeParseAsync(value);
  if (success) return { fits: true, value: data };
  const [issue] = error.issues;
  const path = nameField(root, issue?.path ?? []);
  return { fits: false, path, reason: issue?.message ?? "is not valid" };
}

/** The value that `schema` makes of `value` for the step `stepId`. @throws {StepValidationError} if it does not fit. */
export async function parseStepValue<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  { stepId, root }: { readonly stepId: string; readonly root: string },
): Promise<z.output<Schema>> {
  const parsed = await parseValue(schema, value, root);
  if (parsed.fits) return parsed.value;
  const { path, reason } = parsed;
  throw new StepValidationError({ stepId, path, reason });
}
