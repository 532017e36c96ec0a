import { isFinalStepStatus } from "../../model/transitions.ts";
import type { StepExecutionSummary } from "../../schema/rows.ts";
import type { BatchWriter } from "../../store/batches.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { inputColumns } from "./run-events.ts";
import { isUnsaved, type StageRun, type StepRun } from "./stage-run.ts";

/**
 * Makes the open steps of a cancelled run CANCELLED, so that no row stays RUNNING. A run that was reopened meanwhile is
 * left unchanged. `stage` is what a worker knows of the running steps.
 */
export async function cancelSteps(
  store: WorkflowStore,
  runId: string,
  now: Date,
  stage: StageRun | null = null,
): Promise<void> {
  const steps = await store.listStepExecutions(runId, { payloads: false });
  if (stage === null && steps.every(({ status }) => isFinalStepStatus(status))) return;
  await store.transaction(async (tx) => {
    if ((await tx.getRun(runId, { payloads: false })).status !== "CANCELLED") return;
    const rows = await tx.listStepExecutions(runId, { payloads: false });
    await tx.batch((write) => writeCancelled(write, { runId, rows, stage, now }));
  });
}

/** Writes that the open steps of a run, and their running attempts, are CANCELLED. */
export function writeCancelled(
  write: BatchWriter,
  {
    runId,
    rows,
    stage,
    now,
  }: {
    readonly runId: string;
    readonly rows: readonly StepExecutionSummary[];
    readonly stage: StageRun | null;
    readonly now: Date;
  },
): void {
  const begun = new Map<string, StepRun>();
  for (const step of stage?.steps ?? []) {
    if (step.attemptStartedAt !== null && isUnsaved(step)) {
      begun.set(step.planned.definition.id, step);
    }
  }
  const writeAttempt = (stepId: string, attempt: number, startedAt: Date | null): void =>
    write.saveStepAttempt({
      runId,
      stepId,
      attempt,
      status: "CANCELLED",
      startedAt,
      completedAt: now,
    });
  for (const { stepId, status, attempt, attemptOffset, startedAt } of rows) {
    const step = begun.get(stepId);
    begun.delete(stepId);
    const last = Math.max(attempt, step?.attempt ?? 0);
    // Another process may have marked the step without knowing its last attempt.
    if (isFinalStepStatus(status) && !(status === "CANCELLED" && last > attempt)) continue;
    write.updateStepExecution(runId, stepId, { status: "CANCELLED", wakeAt: null, attempt: last });
    if (last > attempt) writeAttempt(stepId, last, step?.attemptStartedAt ?? null);
    // In any other status the last attempt has ended.
    else if (status === "RUNNING") {
      writeAttempt(stepId, last, last === attemptOffset + 1 ? startedAt : null);
    }
  }
  if (stage === null) return;
  for (const [stepId, { planned, attempt, attemptOffset, ...step }] of begun) {
    write.createStepExecution({
      runId,
      stepId,
      executionIndex: planned.index,
      ...inputColumns(stage.input),
      status: "CANCELLED",
      attempt,
      attemptOffset,
      createdAt: step.startedAt ?? now,
      startedAt: step.startedAt,
      completedAt: now,
    });
    writeAttempt(stepId, attempt, step.attemptStartedAt);
  }
}
