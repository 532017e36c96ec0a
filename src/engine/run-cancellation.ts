import { isFinalStepStatus } from "../model/transitions.ts";
import type { BatchOptions, BatchWriter } from "../store/batches.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";

/**
 * Marks the steps of a run that have not ended as CANCELLED: no row is left saying RUNNING. `more` is written with
 * them, all or nothing.
 */
export async function cancelOpenSteps(
  store: WorkflowStore,
  runId: string,
  now: Date,
  more?: { readonly writes: (write: BatchWriter) => void; readonly options: BatchOptions },
): Promise<void> {
  const steps = await store.listStepExecutions(runId);
  const open = steps.filter(({ status }) => !isFinalStepStatus(status));
  if (open.length === 0 && more === undefined) return;
  await store.batch((write) => {
    for (const { stepId, status, attempt, attemptOffset, startedAt } of open) {
      write.updateStepExecution(runId, stepId, { status: "CANCELLED", wakeAt: null });
      // Of any other the last attempt has ended already.
      if (status !== "RUNNING") continue;
      write.saveStepAttempt({
        runId,
        stepId,
        attempt,
        status: "CANCELLED",
        startedAt: attempt === attemptOffset + 1 ? startedAt : null,
        completedAt: now,
      });
    }
    more?.writes(write);
  }, more?.options);
}
