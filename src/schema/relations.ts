import { relations } from "drizzle-orm";
import {
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowRuns,
  workflowState,
} from "./tables.ts";

export const workflowRunsRelations = relations(workflowRuns, ({ many }) => ({
  steps: many(stepExecutions),
  attempts: many(stepAttempts),
  outputs: many(stepOutputs),
  state: many(workflowState),
}));

export const stepExecutionsRelations = relations(stepExecutions, ({ one, many }) => ({
  run: one(workflowRuns, { fields: [stepExecutions.runId], references: [workflowRuns.runId] }),
  attempts: many(stepAttempts),
}));

export const stepAttemptsRelations = relations(stepAttempts, ({ one }) => ({
  run: one(workflowRuns, { fields: [stepAttempts.runId], references: [workflowRuns.runId] }),
  step: one(stepExecutions, {
    fields: [stepAttempts.runId, stepAttempts.stepId],
    references: [stepExecutions.runId, stepExecutions.stepId],
  }),
}));

export const stepOutputsRelations = relations(stepOutputs, ({ one }) => ({
  run: one(workflowRuns, { fields: [stepOutputs.runId], references: [workflowRuns.runId] }),
}));

export const workflowStateRelations = relations(workflowState, ({ one }) => ({
  run: one(workflowRuns, { fields: [workflowState.runId], references: [workflowRuns.runId] }),
}));
