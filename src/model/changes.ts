import type { StepExecution, WorkflowRun } from "../schema/rows.ts";
import { stepExecutionChangesSchema, workflowRunChangesSchema } from "../schema/zod.ts";
import { parseArgument } from "../arguments.ts";
import { isFinalRunStatus, isFinalStepStatus } from "./transitions.ts";

/** All columns of a run except its ids, its lease and its counters. `undefined` leaves a column unchanged. */
export type RunChanges = {
  readonly [Column in keyof typeof workflowRunChangesSchema.shape]?:
    | WorkflowRun[Column]
    | undefined;
};

/** All columns of a step execution except its ids. `undefined` leaves a column unchanged. */
export type StepExecutionChanges = {
  readonly [Column in keyof typeof stepExecutionChangesSchema.shape]?:
    | StepExecution[Column]
    | undefined;
};

/**
 * An update of a row. `set` replaces columns; `setOnce` sets columns that are null. With `computeDuration`, `durationMs`
 * becomes `durationBetween(startedAt, completedAt)` of the updated row.
 */
export interface RowUpdate<Row> {
  readonly set: Partial<Row>;
  readonly setOnce: Partial<Row>;
  readonly computeDuration: boolean;
}

/**
 * The update of a run for `changes` at the time `now`, without the revision, which every update increments.
 *
 * Unless `changes` has them, the first RUNNING sets `startedAt`, and a final status sets `completedAt`. PENDING clears the
 * lease and the worker. A final status clears the lease and `wakeAt`, and keeps `workerId` and `claimedAt`, which then describe
 * the last holder.
 *
 * @throws {InvalidArgumentError} if a field is invalid.
 */
export function planRunUpdate(changes: unknown, now: Date): RowUpdate<WorkflowRun> {
  const set: Partial<WorkflowRun> = present(
    parseArgument(workflowRunChangesSchema, changes, "changes"),
  );
  const setOnce: Partial<WorkflowRun> = {};
  set.updatedAt ??= now;
  if (set.status === "RUNNING" && set.startedAt === undefined) setOnce.startedAt = now;
  if (set.status === "PENDING") Object.assign(set, noLease);
  if (set.status !== undefined && isFinalRunStatus(set.status)) {
    if (set.completedAt === undefined) set.completedAt = now;
    set.leaseExpiresAt = null;
    set.wakeAt ??= null;
  }
  return { set, setOnce, computeDuration: false };
}

/**
 * The update of a step execution for `changes` at the time `now`.
 *
 * @throws {InvalidArgumentError} if a field is invalid.
 */
export function planStepUpdate(changes: unknown, now: Date): RowUpdate<StepExecution> {
  const set: Partial<StepExecution> = present(
    parseArgument(stepExecutionChangesSchema, changes, "changes"),
  );
  const setOnce: Partial<StepExecution> = {};
  set.updatedAt ??= now;
  // An input is stored in its row or as the outputs of other steps, never both.
  if (set.inputFrom !== undefined && set.inputFrom !== null) set.input = null;
  else if (set.input !== undefined) set.inputFrom = null;
  if (set.status === "RUNNING" && set.startedAt === undefined) setOnce.startedAt = now;
  if (set.status !== undefined && isFinalStepStatus(set.status) && set.completedAt === undefined) {
    set.completedAt = now;
  }
  const timesChange = set.startedAt !== undefined || set.completedAt !== undefined;
  return { set, setOnce, computeDuration: timesChange && set.durationMs === undefined };
}

/** The milliseconds between both times; null if the step never started or has not ended. */
export function durationBetween(
  startedAt: Date | number | null,
  completedAt: Date | number | null,
): number | null {
  if (startedAt === null || completedAt === null) return null;
  return Math.max(0, Number(completedAt) - Number(startedAt));
}

/** The columns of a released run without lost leases. */
const noLease = {
  workerId: null,
  claimedAt: null,
  leaseExpiresAt: null,
  lostLeases: 0,
} as const;

/** The `lostLeases` after an update. Progress resets it, because the run then did not kill its worker. */
export function keptLostLeases(
  run: Pick<WorkflowRun, "progress" | "lostLeases">,
  progress: number | undefined,
): number {
  return progress !== undefined && progress > run.progress ? 0 : run.lostLeases;
}

/**
 * The columns that `reopenRun` sets, apart from `deadlineAt`. `startedAt` stays the time of the first RUNNING.
 */
export function planReopen(now: Date): Partial<WorkflowRun> {
  return {
    status: "PENDING",
    error: null,
    completedAt: null,
    ...noLease,
    wakeAt: null,
    updatedAt: now,
  };
}

/** The columns that `reopenRun` sets if it restarts steps, apart from `deadlineAt` and `progress`. */
export function planRestart(now: Date): Partial<WorkflowRun> {
  return { ...planReopen(now), output: null };
}

/** The `progress` of a run of whose `steps` only `kept` stay. */
export function keptProgress(progress: number, kept: number, steps: number): number {
  return (progress * kept) / steps;
}

/**
 * The `deadlineAt` that `reopenRun` sets: as far from now as the first one was from the start. The old deadline may have
 * passed, and the run would fail again.
 */
export function reopenedDeadline(timeoutMs: number | null, now: Date): Date | null {
  return timeoutMs === null ? null : new Date(now.getTime() + timeoutMs);
}

/** The columns that `releaseLease` sets. */
export function planRelease(now: Date): Partial<WorkflowRun> {
  return { status: "PENDING", ...noLease, updatedAt: now };
}

/** `object` without its undefined properties, which count as absent. */
function present<T extends object>(object: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  const kept: Partial<T> = {};
  for (const key in object) if (object[key] !== undefined) kept[key] = object[key];
  return kept as { [Key in keyof T]: Exclude<T[Key], undefined> };
}
