import * as z from "zod/mini";
import { parseArgument } from "../../arguments.ts";
import { functionSchema } from "../../model/arguments.ts";
import { positiveTimerMsSchema } from "../../model/times.ts";
import { idSchema } from "../../schema/zod.ts";
import {
  isSchema,
  parseStepInput,
  parseStepValue,
  tryParse,
  type InputOf,
  type OutputOf,
  type StandardSchema,
} from "./standard-schema.ts";
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
  Input extends StandardSchema,
  Output extends StandardSchema,
  ContinueOnError extends boolean,
> extends StepSettings<ContinueOnError> {
  readonly id: Id;
  /** A name for people. */
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  /** A schema of zod (3.24 or later), Valibot, ArkType, or another library of Standard Schema. */
  readonly input: Input;
  readonly output: Output;
  readonly run: (
    input: OutputOf<Input>,
    ctx: StepContext,
  ) =>
    | Returned<InputOf<Output>>
    | StepTransaction<Returned<InputOf<Output>>>
    | Promise<Returned<InputOf<Output>> | StepTransaction<Returned<InputOf<Output>>>>;
}

const schemaRule =
  "must be a schema of zod 3.24 or later, Valibot, ArkType, or another Standard Schema";

const retrySchema = z.strictObject({
  maxRetries: z.optional(z.int().check(z.minimum(0))),
  delayMs: z.optional(z.number().check(z.minimum(0))),
  backoff: z.optional(z.enum(["none", "constant", "linear", "exponential"])),
});

/** The options that a workflow can give all its steps. */
export const stepSettingsShape = {
  retry: z.optional(retrySchema),
  timeoutMs: z.nullish(positiveTimerMsSchema),
  continueOnError: z.optional(z.boolean()),
};

/** A name and a description for people. */
export const labelShape = {
  name: z.optional(z.string().check(z.minLength(1), z.maxLength(255))),
  description: z.optional(z.string().check(z.maxLength(10_000))),
};

const optionsSchema = z.strictObject({
  id: idSchema,
  ...labelShape,
  input: z.custom(isSchema, schemaRule),
  output: z.custom(isSchema, schemaRule),
  ...stepSettingsShape,
  run: functionSchema(),
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
  Input extends StandardSchema,
  Output extends StandardSchema,
  const ContinueOnError extends boolean = false,
>(
  options: StepOptions<Id, Input, Output, ContinueOnError>,
): StepDefinition<
  Id,
  InputOf<Input>,
  Stored<OutputOf<Output>> | (true extends ContinueOnError ? null : never)
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
    parseInput: (input: unknown) =>
      parseStepInput(inputSchema, input, { stepId: id, root: "input" }),
    // The input comes from the input schema.
    invoke: async (input: unknown, ctx: StepContext) => run(input as OutputOf<Input>, ctx),
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
