import { relations } from "drizzle-orm";
import { stepExecutions, stepOutputs, workflowRuns, workflowState } from "./tables.ts";

export const workflowRunsRelations = relations(workflowRuns, ({ many }) => ({
  steps: many(stepExecutions),
  outputs: many(stepOutputs),
  state: many(workflowState),
}));

export const stepExecutionsRelations = relations(stepExecutions, ({ one }) => ({
  run: one(workflowRuns, { fields: [stepExecutions.runId], references: [workflowRuns.runId] }),
}));

export const stepOutputsRelations = relations(stepOutputs, ({ one }) => ({
  run: one(workflowRuns, { fields: [stepOutputs.runId], references: [workflowRuns.runId] }),
}));

export const workflowStateRelations = relations(workflowState, ({ one }) => ({
  run: one(workflowRuns, { fields: [workflowState.runId], references: [workflowRuns.runId] }),
}));
