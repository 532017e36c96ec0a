export type { RunStatus, StepStatus } from "../statuses.ts";
export { runStatuses, stepStatuses } from "../statuses.ts";
export type { Tags, WorkflowJson } from "./json-types.ts";
export {
  createWorkflowRelations,
  stepAttemptsRelations,
  stepExecutionsRelations,
  stepOutputsRelations,
  workflowRunsRelations,
  workflowStateRelations,
} from "./relations.ts";
export type {
  NewStepAttempt,
  NewStepExecution,
  NewStepOutput,
  NewWorkflowRun,
  NewWorkflowState,
  StepAttempt,
  StepExecution,
  StepOutput,
  WorkflowRun,
  StepExecutionSummary,
  NewRunOf,
  RunOf,
  StepOf,
  SummaryOf,
  WorkflowPause,
  WorkflowRunSummary,
  WorkflowState,
} from "./rows.ts";
export { schema } from "./schema.ts";
export {
  createWorkflowTables,
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowPauses,
  workflowRuns,
  workflowState,
} from "./tables.ts";
export type { JsonOfTables, NewWorkflowTables, WorkflowTables } from "./tables.ts";
export {
  newStepAttemptSchema,
  newStepExecutionSchema,
  newStepOutputSchema,
  newWorkflowRunSchema,
  newWorkflowStateSchema,
  runStatusSchema,
  stepAttemptSchema,
  stepExecutionChangesSchema,
  stepExecutionSchema,
  stepOutputSchema,
  stepStatusSchema,
  workflowPauseSchema,
  workflowRunChangesSchema,
  workflowRunSchema,
  workflowStateSchema,
} from "./zod.ts";
