import type {
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowRuns,
  workflowState,
} from "./tables.ts";

/** A run: a row of `workflow_runs`. `docs/tables.md` describes the columns of all tables. */
export type WorkflowRun = typeof workflowRuns.$inferSelect;
/** The argument of `createRun`. Only `workflowId` is required. */
export type NewWorkflowRun = typeof workflowRuns.$inferInsert;
/** The execution of a step: a row of `step_executions`. */
export type StepExecution = typeof stepExecutions.$inferSelect;
export type NewStepExecution = typeof stepExecutions.$inferInsert;
/** The outcome of an attempt: a row of `step_attempts`. */
export type StepAttempt = typeof stepAttempts.$inferSelect;
export type NewStepAttempt = typeof stepAttempts.$inferInsert;
/** The output of a step: a row of `step_outputs`. */
export type StepOutput = typeof stepOutputs.$inferSelect;
export type NewStepOutput = typeof stepOutputs.$inferInsert;
/** A state value of a run: a row of `workflow_state`. */
export type WorkflowState = typeof workflowState.$inferSelect;
export type NewWorkflowState = typeof workflowState.$inferInsert;

/** The columns of a run that may be large. Lists, claims and updates do not return them. */
export const payloadColumns = [
  "input",
  "output",
  "context",
] as const satisfies (keyof WorkflowRun)[];

/** The JSON columns of a run. */
export const jsonRunColumns = [
  ...payloadColumns,
  "error",
  "tags",
] as const satisfies (keyof WorkflowRun)[];

/** A run without its payload columns. */
export type WorkflowRunSummary = Omit<WorkflowRun, (typeof payloadColumns)[number]>;
/** A step execution without its input. */
export type StepExecutionSummary = Omit<StepExecution, "input">;
