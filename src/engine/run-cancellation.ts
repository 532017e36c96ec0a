import { isFinalStepStatus } from "../model/transitions.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";

/** Marks the steps of a cancelled run that have not ended as CANCELLED: no row is left saying RUNNING. */
export async function cancelOpenSteps(store: WorkflowStore, runId: string): Promise<void> {
  const steps = await store.listStepExecutions(runId);
  const open = steps.filter(({ status }) => !isFinalStepStatus(status));
  if (open.length === 0) return;
  await store.batch((write) => {
    for (const { stepId } of open)
      write.updateStepExecution(runId, stepId, { status: "CANCELLED" });
  });
}
