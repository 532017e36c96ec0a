import * as z from "zod";
import { nameField, parseArgument } from "../../arguments.ts";
import { maxTimerMs } from "../../async/pause.ts";
import { StepValidationError } from "../../errors.ts";
import { idSchema } from "../../schema/zod.ts";
import type {
  StepContext,
  StepDefinition,
  StepSettings,
  StepTransaction,
} from "./step-definition.ts";

/** The return type of a step with this output schema. A step may return nothing if the schema accepts null. */
type Returned<Output> = Output | (null extends Output ? void : never);

/** The type of the stored value if a step returns this type. */
type Stored<Output> = [Output] extends [void]
  ? null
  : Exclude<Output, undefined> | (undefined extends Output ? null : never);

export interface StepOptions<
  Id extends string,
  Input extends z.ZodType,
  Output extends z.ZodType,
  ContinueOnError extends boolean,
> extends StepSettings<ContinueOnError> {
  readonly id: Id;
  /** A name for people. */
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly input: Input;
  readonly output: Output;
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
  maxRetries: z.int().min(0).optional(),
  delayMs: z.number().min(0).optional(),
  backoff: z.enum(["none", "constant", "linear", "exponential"]).optional(),
});

/** The options that a workflow can give all its steps. */
export const stepSettingsShape = {
  retry: retrySchema.optional(),
  timeoutMs: z.int().min(1).max(maxTimerMs).nullish(),
  continueOnError: z.boolean().optional(),
};

/** A name and a description for people. */
export const labelShape = {
  name: z.string().min(1).max(255).optional(),
  description: z.string().max(10_000).optional(),
};

const optionsSchema = z.strictObject({
  id: idSchema,
  ...labelShape,
  input: z.custom(isSchema, "must be a zod schema"),
  output: z.custom(isSchema, "must be a zod schema"),
  ...stepSettingsShape,
  run: z.custom(isFunction, "must be a function"),
});

/**
 * Defines a step.
 *
 * `run` is called again after a failure, and after a crash during the call. Its effects outside the store must be
 * idempotent, or happen in `return ctx.transaction(…)`.
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
  const parsed = parseArgument(optionsSchema, options, "step");
  const { name, description, retry, timeoutMs, continueOnError } = parsed;
  const settings = Object.freeze({ retry, timeoutMs, continueOnError });
  const { id, input: inputSchema, output: outputSchema, run } = options;
  return Object.freeze({
    id,
    name: name ?? null,
    description: description ?? null,
    ...resolveSettings(settings, {}),
    settings,
    inputSchema,
    parseInput: async (input: unknown) => {
      // A null input may stand for a missing one.
      const isNothing =
        input === null &&
        (await tryParse(inputSchema, null)) === null &&
        (await tryParse(inputSchema, undefined)) !== null;
      const given = isNothing ? undefined : input;
      return parseStepValue(inputSchema, given, { stepId: id, root: "input" });
    },
    // The input comes from the input schema.
    invoke: async (input: unknown, ctx: StepContext) => run(input as z.output<Input>, ctx),
    parseOutput: async (returned: unknown) => {
      const place = { stepId: id, root: "output" };
      const acceptsNothing =
        returned === undefined && (await tryParse(outputSchema, undefined)) !== null;
      const value = returned === undefined && !acceptsNothing ? null : returned;
      return (await parseStepValue(outputSchema, value, place)) ?? null;
    },
  });
}

/** The options of a step in a workflow with these defaults. */
export function resolveSettings(given: StepSettings, defaults: StepSettings) {
  const { timeoutMs = defaults.timeoutMs } = given;
  return {
    retry: Object.freeze({
      maxRetries: given.retry?.maxRetries ?? defaults.retry?.maxRetries ?? 0,
      delayMs: given.retry?.delayMs ?? defaults.retry?.delayMs ?? 1000,
      backoff: given.retry?.backoff ?? defaults.retry?.backoff ?? "constant",
    }),
    timeoutMs: timeoutMs ?? null,
    continueOnError: given.continueOnError ?? defaults.continueOnError ?? false,
  };
}

/**
 * Parses `value` with `schema`.
 *
 * @throws the error that `refuse` returns for the name of the invalid field, which begins with `root`, and the rule.
 */
export async function parseValue<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  root: string,
  refuse: (field: string, reason: string) => Error,
): Promise<z.output<Schema>> {
  const { success, data, error } = await schema.safeParseAsync(value);
  if (success) return data;
  const [issue] = error.issues;
  throw refuse(nameField(root, issue?.path ?? []), issue?.message ?? "is not valid");
}

/** Null if the schema does not accept the value. A transform may throw at a value that it does not expect. */
export async function tryParse(schema: z.ZodType, value: unknown) {
  const result = await schema.safeParseAsync(value).catch(() => null);
  return result?.success === true ? { value: result.data } : null;
}

/** Parses `value` with a schema of the step `stepId`. @throws {StepValidationError} if it is invalid. */
export function parseStepValue<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  { stepId, root }: { readonly stepId: string; readonly root: string },
): Promise<z.output<Schema>> {
  return parseValue(schema, value, root, (path, reason) => {
    return new StepValidationError({ stepId, path, reason });
  });
}
