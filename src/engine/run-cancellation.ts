import { isFinalStepStatus } from "../model/transitions.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import type { BatchWriter } from "../store/batches.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";

/**
 * Marks the steps of a run that have not ended as CANCELLED: no row is left saying RUNNING. `more` is written with
 * them, all or nothing.
 *
 * The run may be reopened and claimed meanwhile: where it has, or had, a holder, its fence leaves the steps of the next
 * one alone.
 *
 * @throws {LeaseLostError} when the holder is another one by now.
 */
export async function cancelOpenSteps(
  store: WorkflowStore,
  { runId, workerId }: Pick<WorkflowRun, "runId" | "workerId">,
  now: Date,
  more?: (write: BatchWriter) => void,
): Promise<void> {
  const steps = await store.listStepExecutions(runId);
  const open = steps.filter(({ status }) => !isFinalStepStatus(status));
  if (open.length === 0 && more === undefined) return;
  const fence = workerId === null ? {} : { fence: { runId, workerId } };
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
    more?.(write);
  }, fence);
}
