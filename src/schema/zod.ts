import * as z from "zod/mini";
import { runStatuses, stepStatuses } from "../statuses.ts";
import { compiledObject } from "./compiled-object.ts";
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
const count = z.int().check(z.minimum(0), z.maximum(2 ** 52));
/** A time limit in milliseconds. Its start and its end are valid dates. */
export const timeoutSchema = z.int().check(z.minimum(1), z.maximum(4_320_000_000_000_000));
const time = z.date();
const json = z.unknown();

/** Why a workflow is paused. */
export const pauseReasonSchema = z.custom<string>(
  (value) => isText(value) && value !== "" && hasAtMost(value, 1000),
  "must be 1 to 1000 well-formed characters without NUL",
);

// Rows with all columns.

export const workflowRunSchema = compiledObject({
  runId: idSchema,
  workflowId: idSchema,
  workflowVersion: idSchema,
  status: runStatusSchema,
  progress: z.number().check(z.minimum(0), z.maximum(1)),
  input: json,
  output: json,
  error: json,
  context: json,
  tags: z.nullable(tagsSchema),
  resourceId: z.nullable(idSchema),
  idempotencyKey: z.nullable(idSchema),
  workerId: z.nullable(idSchema),
  claimedAt: z.nullable(time),
  leaseExpiresAt: z.nullable(time),
  wakeAt: z.nullable(time),
  deadlineAt: z.nullable(time),
  timeoutMs: z.nullable(timeoutSchema),
  attempt: count,
  lostLeases: count,
  revision: count,
  stateRevision: count,
  createdAt: time,
  startedAt: z.nullable(time),
  completedAt: z.nullable(time),
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

export const stepExecutionSchema = compiledObject({
  runId: idSchema,
  stepId: idSchema,
  executionIndex: count,
  status: stepStatusSchema,
  attempt: count,
  attemptOffset: count,
  sleepCount: count,
  wakeAt: z.nullable(time),
  input: json,
  inputFrom: z.nullable(inputFromSchema),
  error: json,
  durationMs: z.nullable(count),
  createdAt: time,
  startedAt: z.nullable(time),
  completedAt: z.nullable(time),
  updatedAt: time,
});

export const stepAttemptSchema = compiledObject({
  runId: idSchema,
  stepId: idSchema,
  attempt: count,
  status: stepStatusSchema,
  error: json,
  workerId: z.nullable(idSchema),
  startedAt: z.nullable(time),
  completedAt: z.nullable(time),
});

export const stepOutputSchema = compiledObject({
  runId: idSchema,
  stepId: idSchema,
  output: json,
  createdAt: time,
  updatedAt: time,
});

export const workflowStateSchema = compiledObject({
  runId: idSchema,
  key: idSchema,
  value: json,
  revision: count,
  updatedAt: time,
});

export const workflowPauseSchema = compiledObject({
  workflowId: idSchema,
  pausedAt: time,
  reason: z.nullable(pauseReasonSchema),
});

/** A row to insert. Columns with defaults are optional. */
export const newWorkflowRunSchema = z.required(z.partial(workflowRunSchema), { workflowId: true });
export const newStepExecutionSchema = z.required(z.partial(stepExecutionSchema), {
  runId: true,
  stepId: true,
});
export const newStepAttemptSchema = z.required(z.partial(stepAttemptSchema), {
  runId: true,
  stepId: true,
  attempt: true,
  status: true,
});
export const newStepOutputSchema = z.partial(stepOutputSchema, {
  createdAt: true,
  updatedAt: true,
});
export const newWorkflowStateSchema = z.partial(workflowStateSchema, {
  revision: true,
  updatedAt: true,
});

/** The changes of `updateRun`: all columns except the ids, the lease and the counters. */
export const workflowRunChangesSchema = z.partial(
  z.omit(workflowRunSchema, {
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
  }),
);

/** The changes of `updateStepExecution`: all columns except the ids. */
export const stepExecutionChangesSchema = z.partial(
  z.omit(stepExecutionSchema, { runId: true, stepId: true, createdAt: true }),
);
