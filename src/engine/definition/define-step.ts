import * as z from "zod";
import { parseArgument } from "../../arguments.ts";
import type { RetryPolicy } from "../../model/backoff.ts";
import { maxTimerMs } from "../../async/pause.ts";
import { idSchema } from "../../schema/zod.ts";
import type { StepContext } from "../run/step-context.ts";
import type { StepTransaction } from "../run/step-transaction.ts";
import { parseStepValue, parseValue } from "./step-validation.ts";

declare const stepTypes: unique symbol;

/**
 * A step that a workflow can be made of. `Input` is what it accepts, `Output` what the steps after it get.
 *
 * It holds no state of its own: one definition serves any number of workflows and runs.
 */
export interface StepDefinition<Id extends string = string, Input = never, Output = unknown> {
  readonly id: Id;
  readonly retry: RetryPolicy;
  /** The most that one attempt may take; null for no limit. */
  readonly timeoutMs: number | null;
  /** True when a failure of this step does not fail the run: its output is then null. */
  readonly continueOnError: boolean;
  readonly inputSchema: z.ZodType;
  /** Runs the step on what its input schema makes of `input`. @throws {StepValidationError} */
  readonly invoke: (input: unknown, ctx: StepContext) => Promise<unknown>;
  /** What the output schema makes of what the step returned; nothing is null. @throws {StepValidationError} */
  readonly parseOutput: (returned: unknown) => Promise<unknown>;
  /** For the compiler alone: never there at run time. */
  readonly [stepTypes]?:
    | { readonly accepts: (input: Input) => void; readonly output: Output }
    | undefined;
}

export type StepOutput<Step> =
  Step extends StepDefinition<string, never, infer Output> ? Output : never;

/** What a step with this output schema may return: where null fits, nothing at all fits, too. */
type Returned<Output> = Output | (null extends Output ? void : never);

/** What is stored when a step returns a value of this type. */
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
  /** Tries after the first one; none when absent. A missing part is `maxRetries` 0, `delayMs` 1000, `none`. */
  readonly retry?: Partial<RetryPolicy> | undefined;
  /** Milliseconds after which an attempt fails with `StepTimeoutError` and its `ctx.signal` aborts. */
  readonly timeoutMs?: number | undefined;
  /** Whether the run goes on when the step has failed for good; its output is then null. */
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
  maxRetries: z.int().min(0).optional(),
  delayMs: z.number().min(0).optional(),
  backoff: z.enum(["none", "linear", "exponential"]).optional(),
});

const optionsSchema = z.strictObject({
  id: idSchema,
  input: z.custom(isSchema, "must be a zod schema"),
  output: z.custom(isSchema, "must be a zod schema"),
  retry: retrySchema.optional(),
  // Timers of more than 31 bits fire at once.
  timeoutMs: z.int().min(1).max(maxTimerMs).optional(),
  continueOnError: z.boolean().optional(),
  run: z.custom(isFunction, "must be a function"),
});

/**
 * Defines a step.
 *
 * `run` may be called again after a failure, and after a crash in the middle of it: what it does outside the
 * store should bear that, or happen in `return ctx.transaction(…)`.
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
    retry: Object.freeze({
      maxRetries: retry?.maxRetries ?? 0,
      delayMs: retry?.delayMs ?? 1000,
      backoff: retry?.backoff ?? "none",
    }),
    timeoutMs: timeoutMs ?? null,
    continueOnError: continueOnError ?? false,
    inputSchema,
    invoke: async (input: unknown, ctx: StepContext) => {
      // Nothing is stored as null.
      const isNothing =
        input === null &&
        !(await parseValue(inputSchema, null, "input")).fits &&
        (await parseValue(inputSchema, undefined, "input")).fits;
      const given = isNothing ? undefined : input;
      return run(await parseStepValue(inputSchema, given, { stepId: id, root: "input" }), ctx);
    },
    parseOutput: async (returned: unknown) => {
      const place = { stepId: id, root: "output" };
      const acceptsNothing =
        returned === undefined && (await outputSchema.safeParseAsync(undefined)).success;
      const value = returned === undefined && !acceptsNothing ? null : returned;
      return (await parseStepValue(outputSchema, value, place)) ?? null;
    },
  });
}
