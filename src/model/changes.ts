import type { StepExecution, WorkflowRun } from "../schema/rows.ts";
import { stepExecutionChangesSchema, workflowRunChangesSchema } from "../schema/zod.ts";
import { parseArgument } from "../arguments.ts";
import { isFinalRunStatus, isFinalStepStatus } from "./transitions.ts";

/** Every column of a run but its identity, its lease and what the store counts. An undefined one is not named. */
export type RunChanges = {
  readonly [
    Column in keyof Omit<
      WorkflowRun,
      | "runId"
      | "workflowId"
      | "createdAt"
      | "revision"
      | "idempotencyKey"
      | "workerId"
      | "leaseExpiresAt"
      | "lostLeases"
      | "stateRevision"
    >
  ]?: WorkflowRun[Column] | undefined;
};

/** Every column of a step execution but its identity. An undefined one is not named. */
export type StepExecutionChanges = {
  readonly [Column in keyof Omit<StepExecution, "runId" | "stepId" | "createdAt">]?:
    | StepExecution[Column]
    | undefined;
};

/**
 * An update as both stores carry it out: `set` replaces, `setOnce` fills what is still null.
 *
 * `computeDuration` says that `durationMs` becomes `durationBetween(startedAt, completedAt)` of the row as
 * it is after the update.
 */
export interface RowUpdate<Row> {
  readonly set: Partial<Row>;
  readonly setOnce: Partial<Row>;
  readonly computeDuration: boolean;
}

/**
 * The update that `changes` ask of a run at the time `now`; the revision, which every update bumps, apart.
 *
 * The first RUNNING sets `startedAt`, a final status `completedAt`, unless the caller gives them. PENDING gives
 * the lease up; a final status ends it but keeps the worker, so that its fence goes on naming the last holder. A run
 * that has ended waits for nothing.
 *
 * @throws {InvalidArgumentError} that names the field.
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
 * The update that `changes` ask of a step execution at the time `now`.
 *
 * @throws {InvalidArgumentError} that names the field.
 */
export function planStepUpdate(changes: unknown, now: Date): RowUpdate<StepExecution> {
  const set: Partial<StepExecution> = present(
    parseArgument(stepExecutionChangesSchema, changes, "changes"),
  );
  const setOnce: Partial<StepExecution> = {};
  set.updatedAt ??= now;
  // An input is stored in one place.
  if (set.inputFrom !== undefined && set.inputFrom !== null) set.input = null;
  else if (set.input !== undefined) set.inputFrom = null;
  if (set.status === "RUNNING" && set.startedAt === undefined) setOnce.startedAt = now;
  if (set.status !== undefined && isFinalStepStatus(set.status) && set.completedAt === undefined) {
    set.completedAt = now;
  }
  const timesChange = set.startedAt !== undefined || set.completedAt !== undefined;
  return { set, setOnce, computeDuration: timesChange && set.durationMs === undefined };
}

/** The milliseconds of work between the two; null when the step never started or has not ended. */
export function durationBetween(startedAt: Date | null, completedAt: Date | null): number | null {
  if (startedAt === null || completedAt === null) return null;
  return Math.max(0, completedAt.getTime() - startedAt.getTime());
}

/** The columns of a run that nobody holds, and whose next worker starts without lost leases. */
const noLease = { workerId: null, leaseExpiresAt: null, lostLeases: 0 } as const;

/** The `lostLeases` after an update: progress since the last one means that the run is not what kills its workers. */
export function keptLostLeases(
  run: Pick<WorkflowRun, "progress" | "lostLeases">,
  progress: number | undefined,
): number {
  return progress !== undefined && progress > run.progress ? 0 : run.lostLeases;
}

/**
 * What `reopenRun` sets, besides `deadlineAt`. `startedAt` stays: it is that of the first RUNNING.
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

/**
 * The `deadlineAt` that `reopenRun` sets: as far from now as the first one was from the start. The one that was may
 * be why the run has failed, and would fail it again.
 */
export function reopenedDeadline(timeoutMs: number | null, now: Date): Date | null {
  return timeoutMs === null ? null : new Date(now.getTime() + timeoutMs);
}

/** What `releaseLease` sets. */
export function planRelease(now: Date): Partial<WorkflowRun> {
  return { status: "PENDING", ...noLease, updatedAt: now };
}

/** `object` without its undefined properties: an undefined option is an absent one. */
function present<T extends object>(object: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  const kept: Partial<T> = {};
  for (const key in object) if (object[key] !== undefined) kept[key] = object[key];
  return kept as { [Key in keyof T]: Exclude<T[Key], undefined> };
}
