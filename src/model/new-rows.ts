import { v7 as uuidv7 } from "uuid";
import { z } from "zod";
import { InvalidArgumentError } from "../errors.ts";
import type {
  NewStepExecution,
  NewWorkflowRun,
  StepExecution,
  StepOutput,
  WorkflowRun,
  WorkflowState,
} from "../schema/rows.ts";
import {
  newStepExecutionSchema,
  newWorkflowRunSchema,
  stepExecutionSchema,
  stepOutputSchema,
  workflowRunSchema,
  workflowStateSchema,
} from "../schema/zod.ts";
import { parseArgument } from "./arguments.ts";

/** One run with everything that belongs to it: the unit of export, copy and display. */
export interface RunBundle {
  readonly run: WorkflowRun;
  /** By `executionIndex`, then `stepId`. */
  readonly steps: readonly StepExecution[];
  /** By `stepId`. */
  readonly outputs: readonly StepOutput[];
  /** By `key`. */
  readonly state: readonly WorkflowState[];
}

/**
 * The whole row of a new run: what the caller gives, and the defaults for the rest.
 *
 * @throws {InvalidArgumentError} that names the field.
 */
export function completeNewRun(newRun: Readonly<NewWorkflowRun>, now: Date): WorkflowRun {
  const given = parseArgument(newWorkflowRunSchema, newRun, "run");
  return {
    runId: given.runId ?? uuidv7(),
    workflowId: given.workflowId,
    workflowVersion: given.workflowVersion ?? "1",
    status: given.status ?? "PENDING",
    progress: given.progress ?? 0,
    input: given.input ?? null,
    output: given.output ?? null,
    error: given.error ?? null,
    context: given.context ?? null,
    tags: given.tags ?? null,
    resourceId: given.resourceId ?? null,
    idempotencyKey: given.idempotencyKey ?? null,
    workerId: given.workerId ?? null,
    leaseExpiresAt: given.leaseExpiresAt ?? null,
    attempt: given.attempt ?? 0,
    revision: given.revision ?? 1,
    createdAt: given.createdAt ?? now,
    startedAt: given.startedAt ?? null,
    completedAt: given.completedAt ?? null,
    updatedAt: given.updatedAt ?? now,
  };
}

/**
 * The whole row of a new step execution.
 *
 * @throws {InvalidArgumentError} that names the field.
 */
export function completeNewStep(newStep: Readonly<NewStepExecution>, now: Date): StepExecution {
  const given = parseArgument(newStepExecutionSchema, newStep, "step");
  return {
    runId: given.runId,
    stepId: given.stepId,
    executionIndex: given.executionIndex ?? 0,
    status: given.status ?? "PENDING",
    attempt: given.attempt ?? 0,
    input: given.input ?? null,
    error: given.error ?? null,
    durationMs: given.durationMs ?? null,
    createdAt: given.createdAt ?? now,
    startedAt: given.startedAt ?? null,
    completedAt: given.completedAt ?? null,
    updatedAt: given.updatedAt ?? now,
  };
}

const bundleSchema = z.strictObject({
  run: workflowRunSchema,
  steps: z.array(stepExecutionSchema),
  outputs: z.array(stepOutputSchema),
  state: z.array(workflowStateSchema),
});

/**
 * A bundle whose rows are whole and belong to its run.
 *
 * @throws {InvalidArgumentError} that names the field.
 */
export function parseBundle(bundle: unknown, argument: string): RunBundle {
  const parsed = parseArgument(bundleSchema, bundle, argument);
  for (const list of ["steps", "outputs", "state"] as const) {
    const seen = new Set<string>();
    for (const [index, row] of parsed[list].entries()) {
      const key = "stepId" in row ? row.stepId : row.key;
      if (row.runId !== parsed.run.runId || seen.has(key)) {
        throw new InvalidArgumentError({
          argument: `${argument}.${list}[${index}]`,
          reason: row.runId === parsed.run.runId ? "is there twice" : "belongs to another run",
        });
      }
      seen.add(key);
    }
  }
  return parsed;
}
