import type {
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowRuns,
  workflowState,
} from "./tables.ts";

/** One run: a row of `workflow_runs`. `docs/tables.md` says what each column means; so for all rows. */
export type WorkflowRun = typeof workflowRuns.$inferSelect;
/** What `createRun` takes: all but `workflowId` has a default. */
export type NewWorkflowRun = typeof workflowRuns.$inferInsert;
/** One step of a run: a row of `step_executions`. */
export type StepExecution = typeof stepExecutions.$inferSelect;
export type NewStepExecution = typeof stepExecutions.$inferInsert;
/** How one try of a step ended: a row of `step_attempts`. */
export type StepAttempt = typeof stepAttempts.$inferSelect;
export type NewStepAttempt = typeof stepAttempts.$inferInsert;
/** What a step returned: a row of `step_outputs`. */
export type StepOutput = typeof stepOutputs.$inferSelect;
export type NewStepOutput = typeof stepOutputs.$inferInsert;
/** One value of a run's state: a row of `workflow_state`. */
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
