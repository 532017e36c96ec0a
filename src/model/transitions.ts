import {
  LeaseLostError,
  RevisionConflictError,
  RunTransitionError,
  StepTransitionError,
} from "../errors.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import { runStatuses, type RunStatus, type StepStatus } from "../statuses.ts";

/** A run in one of these changes no more; `reopenRun` is the only way back. */
export const finalRunStatuses = ["COMPLETED", "FAILED", "CANCELLED"] as const satisfies RunStatus[];

/** A step in one of these has ended; it has a `completedAt`. */
const finalStepStatuses = [
  "COMPLETED",
  "FAILED",
  "CANCELLED",
  "SKIPPED",
] as const satisfies StepStatus[];

/** A step in one of these changes no more. FAILED and CANCELLED may be tried again. */
export const frozenStepStatuses = ["COMPLETED", "SKIPPED"] as const satisfies StepStatus[];

/** What `reopenRun` accepts. */
export const reopenableRunStatuses = ["FAILED", "CANCELLED"] as const satisfies RunStatus[];

const includes = <T>(list: readonly T[], value: unknown): value is T => list.includes(value as T);

export const isFinalRunStatus = (status: RunStatus): boolean => includes(finalRunStatuses, status);
export const isFinalStepStatus = (status: StepStatus): boolean =>
  includes(finalStepStatuses, status);
export const isFrozenStepStatus = (status: StepStatus): boolean =>
  includes(frozenStepStatuses, status);
export const isRunStatus = (value: unknown): value is RunStatus => includes(runStatuses, value);

/** What decides whether a run may be changed. */
type RunGuardState = Pick<WorkflowRun, "runId" | "status" | "revision" | "workerId" | "attempt">;

/** What decides whether a fence holds. */
export type FencedRun = Omit<RunGuardState, "revision">;

/** The claim that a write belongs to. Without `attempt` any claim of the worker will do. */
export interface Fence {
  readonly workerId: string;
  readonly attempt?: number | undefined;
}

/**
 * Passes without a fence, and while the run is RUNNING under that claim. A fence holds past the lease's expiry, until
 * another claim takes the run.
 *
 * @throws {LeaseLostError}
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
 * Passes when the run may be updated.
 *
 * @throws {LeaseLostError} {RevisionConflictError} {RunTransitionError}, in this order.
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
  if (expectedRevision !== undefined && run.revision !== expectedRevision) {
    throw new RevisionConflictError({
      runId: run.runId,
      expectedRevision,
      actualRevision: run.revision,
    });
  }
  if (isFinalRunStatus(run.status)) {
    throw new RunTransitionError({ runId: run.runId, from: run.status, to: to ?? null });
  }
}

/** @throws {RunTransitionError} unless the run is FAILED or CANCELLED. */
export function checkReopen(run: Pick<RunGuardState, "runId" | "status">): void {
  if (!includes(reopenableRunStatuses, run.status)) {
    throw new RunTransitionError({ runId: run.runId, from: run.status, to: "PENDING" });
  }
}

/** @throws {StepTransitionError} when the step is COMPLETED or SKIPPED. */
export function checkStepUpdate(
  step: { readonly runId: string; readonly stepId: string; readonly status: StepStatus },
  to: StepStatus | undefined,
): void {
  if (isFrozenStepStatus(step.status)) {
    const { runId, stepId, status } = step;
    throw new StepTransitionError({ runId, stepId, from: status, to: to ?? null });
  }
}

/** @throws {RevisionConflictError} unless the state's revision is the expected one; 0 stands for "does not exist". */
export function checkStateRevision(
  { runId, key }: { readonly runId: string; readonly key: string },
  actualRevision: number,
  expectedRevision: number | undefined,
): void {
  if (expectedRevision !== undefined && actualRevision !== expectedRevision) {
    throw new RevisionConflictError({ runId, key, expectedRevision, actualRevision });
  }
}
