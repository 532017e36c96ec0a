import { relations } from "drizzle-orm";
import type { WorkflowJson } from "./json-types.ts";
import {
  createWorkflowTables,
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowRuns,
  workflowState,
} from "./tables.ts";

type Tables<Prefix extends string> = ReturnType<typeof createWorkflowTables<WorkflowJson, Prefix>>;

/** The relations of tables that `createWorkflowTables` made, for an app's own schema. */
export function createWorkflowRelations<Prefix extends string>({
  workflowRuns: runs,
  stepExecutions: steps,
  stepAttempts: attempts,
  stepOutputs: outputs,
  workflowState: state,
}: Tables<Prefix>) {
  return {
    workflowRunsRelations: relations(runs, ({ many }) => ({
      steps: many(steps),
      attempts: many(attempts),
      outputs: many(outputs),
      state: many(state),
    })),
    stepExecutionsRelations: relations(steps, ({ one, many }) => ({
      run: one(runs, { fields: [steps.runId], references: [runs.runId] }),
      attempts: many(attempts),
    })),
    stepAttemptsRelations: relations(attempts, ({ one }) => ({
      run: one(runs, { fields: [attempts.runId], references: [runs.runId] }),
      step: one(steps, {
        fields: [attempts.runId, attempts.stepId],
        references: [steps.runId, steps.stepId],
      }),
    })),
    stepOutputsRelations: relations(outputs, ({ one }) => ({
      run: one(runs, { fields: [outputs.runId], references: [runs.runId] }),
    })),
    workflowStateRelations: relations(state, ({ one }) => ({
      run: one(runs, { fields: [state.runId], references: [runs.runId] }),
    })),
  };
}

export const {
  workflowRunsRelations,
  stepExecutionsRelations,
  stepAttemptsRelations,
  stepOutputsRelations,
  workflowStateRelations,
} = createWorkflowRelations({
  workflowRuns,
  stepExecutions,
  stepAttempts,
  stepOutputs,
  workflowState,
});
