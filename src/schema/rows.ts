import type {
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowRuns,
  workflowState,
} from "./tables.ts";

export type WorkflowRun = typeof workflowRuns.$inferSelect;
export type NewWorkflowRun = typeof workflowRuns.$inferInsert;
export type StepExecution = typeof stepExecutions.$inferSelect;
export type NewStepExecution = typeof stepExecutions.$inferInsert;
export type StepAttempt = typeof stepAttempts.$inferSelect;
export type NewStepAttempt = typeof stepAttempts.$inferInsert;
export type StepOutput = typeof stepOutputs.$inferSelect;
export type NewStepOutput = typeof stepOutputs.$inferInsert;
export type WorkflowState = typeof workflowState.$inferSelect;
export type NewWorkflowState = typeof workflowState.$inferInsert;

/** The columns of a run that may be megabytes: lists, claims and updates leave them out. */
export const payloadColumns = [
  "input",
  "output",
  "context",
] as const satisfies (keyof WorkflowRun)[];

/** The columns of a run that hold JSON. */
export const jsonRunColumns = [
  ...payloadColumns,
  "error",
  "tags",
] as const satisfies (keyof WorkflowRun)[];

/** A run without its payload columns. */
export type WorkflowRunSummary = Omit<WorkflowRun, (typeof payloadColumns)[number]>;
