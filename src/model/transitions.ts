import {
  LeaseLostError,
  RevisionConflictError,
  RunTransitionError,
  StepTransitionError,
} from "../errors.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import { stepStatuses, type RunStatus, type StepStatus } from "../statuses.ts";

/** A run in one of these has ended. Only `reopenRun` reopens it. */
export const finalRunStatuses = ["COMPLETED", "FAILED", "CANCELLED"] as const satisfies RunStatus[];

/** A step in one of these has ended; it has a `completedAt`. */
const finalStepStatuses = [
  "COMPLETED",
  "FAILED",
  "CANCELLED",
  "SKIPPED",
] as const satisfies StepStatus[];

/** A step in one of these cannot change. FAILED and CANCELLED steps can be retried. */
export const frozenStepStatuses = ["COMPLETED", "SKIPPED"] as const satisfies StepStatus[];

/** The statuses that `reopenRun` accepts. */
export const reopenableRunStatuses = ["FAILED", "CANCELLED"] as const satisfies RunStatus[];

const includes = <T>(list: readonly T[], value: unknown): value is T => list.includes(value as T);

export const isFinalRunStatus = (status: RunStatus): boolean => includes(finalRunStatuses, status);
export const isReopenableRunStatus = (status: RunStatus): boolean =>
  includes(reopenableRunStatuses, status);
export const isFinalStepStatus = (status: StepStatus): boolean =>
  includes(finalStepStatuses, status);
export const isFrozenStepStatus = (status: StepStatus): boolean =>
  includes(frozenStepStatuses, status);

/** A step in one of these has not ended. `reopenRun` cancels it. */
export const openStepStatuses = stepStatuses.filter((status) => !isFinalStepStatus(status));

/** The columns that decide whether a run may change. */
type RunGuardState = Pick<WorkflowRun, "runId" | "status" | "revision" | "workerId" | "attempt">;

/** The columns that decide whether a fence holds. */
export type FencedRun = Omit<RunGuardState, "revision">;

/** The claim that a write belongs to. Without `attempt`, any claim of the worker. */
export interface Fence {
  readonly workerId: string;
  readonly attempt?: number | undefined;
}

/**
 * Passes if there is no fence, or the run is RUNNING under that claim. A fence holds after the lease has expired, until
 * another claim takes the run.
 *
 * @throws {LeaseLostError} otherwise.
 */
export function checkFence(run: FencedRun, fence: Fence | null): void {
  if (fence === null) return;
  const { workerId, attempt = run.attempt } = fence;
  const { runId, status } = run;
  if (status !== "RUNNING" || run.workerId !== workerId || run.attempt !== attempt) {
    throw new LeaseLostError({ runId, workerId, status });
  }
}

/**
 * Passes if the run may be updated. Checks in the order below.
 *
 * @throws {LeaseLostError} if the fence does not hold.
 * @throws {RevisionConflictError} if the run is at another revision.
 * @throws {RunTransitionError} if the run has ended.
 */
export function checkRunUpdate(
  run: RunGuardState,
  to: RunStatus | undefined,
  {
    expectedRevision,
    fence,
  }: { readonly expectedRevision?: number | undefined; readonly fence: Fence | null },
): void {
  checkFence(run, fence);
  checkRevision(run, expectedRevision);
  if (isFinalRunStatus(run.status)) {
    throw new RunTransitionError({ runId: run.runId, from: run.status, to: to ?? null });
  }
}

/** @throws {RevisionConflictError} if the run is at another revision than the expected one. */
export function checkRevision(
  { runId, revision: actualRevision }: Pick<RunGuardState, "runId" | "revision">,
  expectedRevision: number | undefined,
): void {
  if (expectedRevision === undefined || actualRevision === expectedRevision) return;
  throw new RevisionConflictError({ runId, expectedRevision, actualRevision });
}

/**
 * @throws {RevisionConflictError} if the run is at another revision.
 * @throws {RunTransitionError} unless the run is FAILED or CANCELLED.
 */
export function checkReopen(
  run: Pick<RunGuardState, "runId" | "status" | "revision">,
  expectedRevision?: number,
): void {
  checkRevision(run, expectedRevision);
  if (!isReopenableRunStatus(run.status)) {
    throw new RunTransitionError({ runId: run.runId, from: run.status, to: "PENDING" });
  }
}

/**
 * @throws {RevisionConflictError} if the run is at another revision.
 * @throws {RunTransitionError} unless the run has ended.
 */
export function checkRestart(
  run: Pick<RunGuardState, "runId" | "status" | "revision">,
  expectedRevision: number | undefined,
): void {
  checkRevision(run, expectedRevision);
  if (!isFinalRunStatus(run.status)) {
    throw new RunTransitionError({ runId: run.runId, from: run.status, to: "PENDING" });
  }
}

/** @throws {StepTransitionError} if the step is COMPLETED or SKIPPED. */
export function checkStepUpdate(
  step: { readonly runId: string; readonly stepId: string; readonly status: StepStatus },
  to: StepStatus | undefined,
): void {
  if (isFrozenStepStatus(step.status)) {
    const { runId, stepId, status } = step;
    throw new StepTransitionError({ runId, stepId, from: status, to: to ?? null });
  }
}

/** @throws {RevisionConflictError} unless the value has the expected revision. 0 means that it does not exist. */
export function checkStateRevision(
  { runId, key }: { readonly runId: string; readonly key: string },
  actualRevision: number,
  expectedRevision: number | undefined,
): void {
  if (expectedRevision !== undefined && actualRevision !== expectedRevision) {
    throw new RevisionConflictError({ runId, key, expectedRevision, actualRevision });
  }
}
