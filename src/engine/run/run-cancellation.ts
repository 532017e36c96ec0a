import {
  RevisionConflictError,
  RunNotFoundError,
  StepExecutionAlreadyExistsError,
  StepExecutionNotFoundError,
  StepTransitionError,
} from "../../errors.ts";
import { isFinalStepStatus } from "../../model/transitions.ts";
import type { StepExecutionSummary } from "../../schema/rows.ts";
import type { BatchWriter } from "../../store/batches.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { inputColumns, newRow } from "./run-events.ts";
import { isUnsaved, type StageRun } from "./stage-run.ts";

/**
 * Makes the open steps of cancelled runs CANCELLED, so that no row stays RUNNING. Leaves out runs that were reopened
 * meanwhile. `stage` has the running steps if the caller is the worker of the only run.
 */
export async function cancelSteps(
  store: WorkflowStore,
  runIds: readonly string[],
  now: Date,
  stage: StageRun | null = null,
): Promise<void> {
  for (let attempts = 1; ; attempts++) {
    // The runs come first: if one is reopened and its steps begin again, its revision differs.
    const runs = await store.getRuns(runIds, { payloads: false });
    const cancelled = runs.filter(({ status }) => status === "CANCELLED");
    const steps = await Promise.all(
      cancelled.map(async ({ runId }) => {
        return { runId, rows: await store.listStepExecutions(runId, { payloads: false }) };
      }),
    );
    const open = steps.filter(
      ({ rows }) => stage !== null || !rows.every(({ status }) => isFinalStepStatus(status)),
    );
    if (open.length === 0) return;
    const openIds = new Set(open.map(({ runId }) => runId));
    const expectedRevisions = cancelled
      .filter(({ runId }) => openIds.has(runId))
      .map(({ runId, revision }) => ({ runId, revision }));
    try {
      await store.batch(
        (write) => {
          for (const { runId, rows } of open) writeCancelled(write, runId, now, rows, stage);
        },
        { expectedRevisions },
      );
      return;
    } catch (error) {
      if (attempts === maxAttempts || !isOutdated(error)) throw error;
    }
  }
}

/** How often the runs are read again because another writer changed them. */
const maxAttempts = 10;

function isOutdated(error: unknown): boolean {
  return (
    error instanceof RevisionConflictError ||
    error instanceof RunNotFoundError ||
    error instanceof StepExecutionAlreadyExistsError ||
    error instanceof StepExecutionNotFoundError ||
    error instanceof StepTransitionError
  );
}

/** Makes the open steps of a run and their running attempts CANCELLED. */
export function writeCancelled(
  write: BatchWriter,
  runId: string,
  now: Date,
  rows: readonly StepExecutionSummary[],
  stage: StageRun | null,
): void {
  const unsaved = stage?.steps.filter((step) => step.attemptStartedAt !== null && isUnsaved(step));
  const begun = new Map(unsaved?.map((step) => [step.planned.definition.id, step]));
  const writeAttempt = (stepId: string, attempt: number, startedAt: Date | null): void => {
    const times = { startedAt, completedAt: now };
    write.saveStepAttempt({ runId, stepId, attempt, status: "CANCELLED", ...times });
  };
  for (const { stepId, status, attempt, attemptOffset, startedAt } of rows) {
    const step = begun.get(stepId);
    begun.delete(stepId);
    const last = Math.max(attempt, step?.attempt ?? 0);
    // Another process may have cancelled the step without knowing its last attempt.
    if (isFinalStepStatus(status) && !(status === "CANCELLED" && last > attempt)) continue;
    write.updateStepExecution(runId, stepId, { status: "CANCELLED", wakeAt: null, attempt: last });
    if (last > attempt) writeAttempt(stepId, last, step?.attemptStartedAt ?? null);
    // With any other status, the last attempt has ended.
    else if (status === "RUNNING") {
      writeAttempt(stepId, last, last === attemptOffset + 1 ? startedAt : null);
    }
  }
  if (stage === null) return;
  for (const [stepId, step] of begun) {
    const row = newRow(runId, step, inputColumns(stage.input), now);
    write.createStepExecution({ ...row, status: "CANCELLED", completedAt: now });
    writeAttempt(stepId, step.attempt, step.attemptStartedAt);
  }
}
