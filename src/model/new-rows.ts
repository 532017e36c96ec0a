import { parseArgument } from "../arguments.ts";
import { rowCodecs } from "../schema/row-codecs.ts";
import type { StepAttempt, StepExecution, WorkflowRun } from "../schema/rows.ts";
import {
  newStepAttemptSchema,
  newStepExecutionSchema,
  newWorkflowRunSchema,
} from "../schema/zod.ts";
import { withoutDerivedInput } from "./step-inputs.ts";

/**
 * The row of a new run, with defaults.
 *
 * @throws {InvalidArgumentError} if a field is invalid.
 */
export function completeNewRun(newRun: unknown, now: Date): WorkflowRun {
  return rowCodecs.run.complete(parseArgument(newWorkflowRunSchema, newRun, "run"), now);
}

/**
 * The row of a new step execution, with defaults.
 *
 * @throws {InvalidArgumentError} if a field is invalid.
 */
export function completeNewStep(newStep: unknown, now: Date): StepExecution {
  const given = parseArgument(newStepExecutionSchema, newStep, "step");
  return withoutDerivedInput(rowCodecs.steps.complete(given, now));
}

/**
 * The row of an attempt, with defaults.
 *
 * @throws {InvalidArgumentError} if a field is invalid.
 */
export function completeNewAttempt(newAttempt: unknown, now: Date): StepAttempt {
  return rowCodecs.attempts.complete(
    parseArgument(newStepAttemptSchema, newAttempt, "attempt"),
    now,
  );
}
