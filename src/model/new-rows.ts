import { uuidv7 } from "../uuid.ts";
import type {
  NewStepAttempt,
  NewStepExecution,
  NewWorkflowRun,
  StepAttempt,
  StepExecution,
  WorkflowRun,
} from "../schema/rows.ts";
import {
  newStepAttemptSchema,
  newStepExecutionSchema,
  newWorkflowRunSchema,
} from "../schema/zod.ts";
import { parseArgument } from "../arguments.ts";

/**
 * The row of a new run, with defaults.
 *
 * @throws {InvalidArgumentError} if a field is invalid.
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
    wakeAt: given.wakeAt ?? null,
    deadlineAt: given.deadlineAt ?? null,
    timeoutMs: given.timeoutMs ?? null,
    attempt: given.attempt ?? 0,
    lostLeases: given.lostLeases ?? 0,
    revision: given.revision ?? 1,
    stateRevision: given.stateRevision ?? 0,
    createdAt: given.createdAt ?? now,
    startedAt: given.startedAt ?? null,
    completedAt: given.completedAt ?? null,
    updatedAt: given.updatedAt ?? now,
  };
}

/**
 * The row of a new step execution, with defaults.
 *
 * @throws {InvalidArgumentError} if a field is invalid.
 */
export function completeNewStep(newStep: Readonly<NewStepExecution>, now: Date): StepExecution {
  const given = parseArgument(newStepExecutionSchema, newStep, "step");
  const inputFrom = given.inputFrom ?? null;
  return {
    runId: given.runId,
    stepId: given.stepId,
    executionIndex: given.executionIndex ?? 0,
    status: given.status ?? "PENDING",
    attempt: given.attempt ?? 0,
    attemptOffset: given.attemptOffset ?? 0,
    sleepCount: given.sleepCount ?? 0,
    wakeAt: given.wakeAt ?? null,
    // An input is stored in its row or as the outputs of other steps, never both.
    input: inputFrom === null ? (given.input ?? null) : null,
    inputFrom,
    error: given.error ?? null,
    durationMs: given.durationMs ?? null,
    createdAt: given.createdAt ?? now,
    startedAt: given.startedAt ?? null,
    completedAt: given.completedAt ?? null,
    updatedAt: given.updatedAt ?? now,
  };
}

/**
 * The row of an attempt, with defaults.
 *
 * @throws {InvalidArgumentError} if a field is invalid.
 */
export function completeNewAttempt(newAttempt: Readonly<NewStepAttempt>): StepAttempt {
  const given = parseArgument(newStepAttemptSchema, newAttempt, "attempt");
  return {
    runId: given.runId,
    stepId: given.stepId,
    attempt: given.attempt,
    status: given.status,
    error: given.error ?? null,
    workerId: given.workerId ?? null,
    startedAt: given.startedAt ?? null,
    completedAt: given.completedAt ?? null,
  };
}
