import * as z from "zod/mini";
import { parseArgument } from "../../arguments.ts";
import { InvalidArgumentError } from "../../errors.ts";
import { encodeJson } from "../../json.ts";
import { jsonLimits } from "../../schema/columns.ts";
import { isId } from "../../schema/zod.ts";
import { resolveSettings } from "./define-step.ts";
import type { StepDefinition } from "./step-definition.ts";
import type { Condition } from "./workflow-plan.ts";

/** A step that runs if its condition is true: the result of `stepIf`. */
export interface ConditionalStep<
  Id extends string = string,
  Input = never,
  Output = unknown,
> extends StepDefinition<Id, Input, Output> {
  readonly condition: Condition<Input>;
  /** The output if the condition is false, as JSON text. Null if the next stage then gets the input of this step. */
  readonly otherwise: string | null;
}

export interface StepIfOptions<Otherwise> {
  /** The output of the step if it is skipped. */
  readonly otherwise: Otherwise;
}

const optionsSchema = z.partial(z.strictObject({ otherwise: z.unknown() }));

/** A value for a skipped step. As a constraint, it lets TypeScript infer the type of a literal. */
export type OtherwiseValue = string | number | boolean | object | null;

/**
 * A step for `parallel` that runs if the condition is true. Otherwise it is SKIPPED, and its output is `otherwise`, which
 * defaults to null.
 *
 * @throws {InvalidValueError} if JSON cannot hold `otherwise`.
 */
export function stepIf<
  const Id extends string,
  Input,
  Output,
  Otherwise extends OtherwiseValue = null,
>(
  condition: Condition<NoInfer<Input>>,
  step: StepDefinition<Id, Input, Output>,
  options?: StepIfOptions<Otherwise>,
): ConditionalStep<Id, Input, Output | Otherwise> {
  const conditional = addCondition(condition, step, options ?? {});
  const otherwise = conditional.otherwise ?? "null";
  return { ...conditional, otherwise } as ConditionalStep<Id, Input, Output | Otherwise>;
}

/** Adds a condition to a step. `otherwise` is null if the options do not have it. */
export function addCondition<Id extends string, Input>(
  condition: Condition<Input>,
  step: StepDefinition<Id, Input>,
  options: Partial<StepIfOptions<unknown>>,
): ConditionalStep<Id, Input> {
  checkStep(step);
  const { otherwise } = parseArgument(optionsSchema, options, "options");
  if (typeof condition !== "function") {
    throw new InvalidArgumentError({ argument: "condition", reason: "must be a function" });
  }
  if ("condition" in step) {
    throw new InvalidArgumentError({ argument: "step", reason: "has a condition already" });
  }
  const text =
    otherwise === undefined ? null : encodeJson(otherwise, "otherwise", jsonLimits.value);
  return { ...step, condition, otherwise: text };
}

/** The options that a copy of a step, such as `{ ...step, timeoutMs: 100 }`, cannot change. */
const boundOptions = ["input", "output", "run"];

/** @throws {InvalidArgumentError} if it is not a step, or a copy of one with other options. */
export function checkStep(definition: unknown): void {
  const step = (definition ?? {}) as Record<string, unknown>;
  const { id, invoke, settings } = step;
  if (!isId(id) || typeof invoke !== "function" || typeof settings !== "object") {
    throw new InvalidArgumentError({
      argument: "step",
      reason: "must be a result of `defineStep`",
    });
  }
  const own = resolveSettings(settings ?? {}, {});
  const shown = resolveSettings(step, {});
  const names = Object.keys(own) as (keyof typeof own)[];
  const changed =
    boundOptions.find((name) => name in step) ??
    names.find((name) => JSON.stringify(own[name]) !== JSON.stringify(shown[name]));
  if (changed === undefined) return;
  throw new InvalidArgumentError({
    argument: "step",
    reason: `is a copy of ${id} with another \`${changed}\`, which only \`defineStep\` can set`,
  });
}
