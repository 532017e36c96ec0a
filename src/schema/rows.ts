import type { WorkflowJson } from "./json-types.ts";
import type { StepExecutionsTable } from "./step-executions.ts";
import type { stepAttempts, stepExecutions, stepOutputs, workflowState } from "./tables.ts";
import type { WorkflowRunsTable } from "./workflow-runs.ts";

type PartialJson = Partial<WorkflowJson>;

/** A run: a row of `workflow_runs`. `docs/tables.md` describes the columns of all tables. */
export type WorkflowRun<Json extends PartialJson = WorkflowJson> = WorkflowRunsTable<
  "",
  Json
>["$inferSelect"];
/** The argument of `createRun`. Only `workflowId` is required. */
export type NewWorkflowRun<Json extends PartialJson = WorkflowJson> = WorkflowRunsTable<
  "",
  Json
>["$inferInsert"];
/** The execution of a step: a row of `step_executions`. */
export type StepExecution<Json extends PartialJson = WorkflowJson> = StepExecutionsTable<
  "",
  Json
>["$inferSelect"];
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

/** `Run` without its payload columns. */
export type SummaryOf<Run> = Omit<Run, (typeof payloadColumns)[number]>;
/** A run without its payload columns. */
export type WorkflowRunSummary = SummaryOf<WorkflowRun>;
/** A step execution without its input. */
export type StepExecutionSummary = Omit<StepExecution, "input">;
