import * as z from "zod";
import { runStatuses, stepStatuses } from "../statuses.ts";
import type { Tags } from "./json-types.ts";

/** True for 1 to 255 well-formed characters (Unicode code points) without NUL. */
export function isId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && isText(value) && hasAtMost(value, 255);
}

/** True for text that every backend stores and reads back unchanged. */
function isText(value: unknown): value is string {
  return typeof value === "string" && !value.includes("\0") && value.isWellFormed();
}

function hasAtMost(text: string, characters: number): boolean {
  return (
    text.length <= characters || (text.length <= 2 * characters && codePoints(text) <= characters)
  );
}

function codePoints(text: string): number {
  return Array.from(text).length;
}

/** True for an object whose names and values are text that every backend stores unchanged. */
export function isTags(value: unknown): value is Tags {
  // A map has no properties, and a filter with it would match all runs.
  if (Object.prototype.toString.call(value) !== "[object Object]") return false;
  return Object.entries(value as object).every(([name, label]) => isText(name) && isText(label));
}

/** An id: 1 to 255 well-formed characters without NUL. */
export const idSchema = z.custom<string>(
  isId,
  "must be 1 to 255 well-formed characters without NUL",
);

/** The labels of a run. Names and values are well-formed text without NUL. */
export const tagsSchema = z.custom<Tags>(isTags, "must be an object of strings");

export const runStatusSchema = z.enum(runStatuses);
export const stepStatusSchema = z.enum(stepStatuses);

/** A counter. Its limit is far below the largest exact integer, so that increments stay exact. */
const count = z
  .int()
  .min(0)
  .max(2 ** 52);
/** A time limit in milliseconds. Its start and its end are valid dates. */
export const timeoutSchema = z.int().min(1).max(4_320_000_000_000_000);
const time = z.date();
const json = z.unknown();

/** Why a workflow is paused. */
export const pauseReasonSchema = z.custom<string>(
  (value) => isText(value) && value !== "" && hasAtMost(value, 1000),
  "must be 1 to 1000 well-formed characters without NUL",
);

// Rows with all columns.

export const workflowRunSchema = z.strictObject({
  runId: idSchema,
  workflowId: idSchema,
  workflowVersion: idSchema,
  status: runStatusSchema,
  progress: z.number().min(0).max(1),
  input: json,
  output: json,
  error: json,
  context: json,
  tags: tagsSchema.nullable(),
  resourceId: idSchema.nullable(),
  idempotencyKey: idSchema.nullable(),
  workerId: idSchema.nullable(),
  claimedAt: time.nullable(),
  leaseExpiresAt: time.nullable(),
  wakeAt: time.nullable(),
  deadlineAt: time.nullable(),
  timeoutMs: timeoutSchema.nullable(),
  attempt: count,
  lostLeases: count,
  revision: count,
  stateRevision: count,
  createdAt: time,
  startedAt: time.nullable(),
  completedAt: time.nullable(),
  updatedAt: time,
});

/** True for a valid value of `input_from`. */
export function isInputFrom(value: unknown): value is string | string[] {
  return isId(value) || (Array.isArray(value) && value.length > 0 && value.every(isId));
}

const inputFromSchema = z.custom<string | string[]>(
  isInputFrom,
  "must be the id of a step, or a list of ids",
);

export const stepExecutionSchema = z.strictObject({
  runId: idSchema,
  stepId: idSchema,
  executionIndex: count,
  status: stepStatusSchema,
  attempt: count,
  attemptOffset: count,
  sleepCount: count,
  wakeAt: time.nullable(),
  input: json,
  inputFrom: inputFromSchema.nullable(),
  error: json,
  durationMs: count.nullable(),
  createdAt: time,
  startedAt: time.nullable(),
  completedAt: time.nullable(),
  updatedAt: time,
});

export const stepAttemptSchema = z.strictObject({
  runId: idSchema,
  stepId: idSchema,
  attempt: count,
  status: stepStatusSchema,
  error: json,
  workerId: idSchema.nullable(),
  startedAt: time.nullable(),
  completedAt: time.nullable(),
});

export const stepOutputSchema = z.strictObject({
  runId: idSchema,
  stepId: idSchema,
  output: json,
  createdAt: time,
  updatedAt: time,
});

export const workflowStateSchema = z.strictObject({
  runId: idSchema,
  key: idSchema,
  value: json,
  revision: count,
  updatedAt: time,
});

export const workflowPauseSchema = z.strictObject({
  workflowId: idSchema,
  pausedAt: time,
  reason: pauseReasonSchema.nullable(),
});

/** A row to insert. Columns with defaults are optional. */
export const newWorkflowRunSchema = workflowRunSchema.partial().required({ workflowId: true });
export const newStepExecutionSchema = stepExecutionSchema
  .partial()
  .required({ runId: true, stepId: true });
export const newStepAttemptSchema = stepAttemptSchema
  .partial()
  .required({ runId: true, stepId: true, attempt: true, status: true });
export const newStepOutputSchema = stepOutputSchema.partial({ createdAt: true, updatedAt: true });
export const newWorkflowStateSchema = workflowStateSchema.partial({
  revision: true,
  updatedAt: true,
});

/** The changes of `updateRun`: all columns except the ids, the lease and the counters. */
export const workflowRunChangesSchema = workflowRunSchema
  .omit({
    runId: true,
    workflowId: true,
    createdAt: true,
    revision: true,
    idempotencyKey: true,
    workerId: true,
    claimedAt: true,
    leaseExpiresAt: true,
    lostLeases: true,
    stateRevision: true,
  })
  .partial();

/** The changes of `updateStepExecution`: all columns except the ids. */
export const stepExecutionChangesSchema = stepExecutionSchema
  .omit({ runId: true, stepId: true, createdAt: true })
  .partial();
