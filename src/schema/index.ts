export type { TableRelations } from "../drizzle-types.ts";
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
export type { WorkflowRelations } from "./relations.ts";
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
export type { StepAttemptsTable } from "./step-attempts.ts";
export type { StepExecutionsTable } from "./step-executions.ts";
export type { StepOutputsTable } from "./step-outputs.ts";
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
export type { WorkflowPausesTable } from "./workflow-pauses.ts";
export type { WorkflowRunsTable } from "./workflow-runs.ts";
export type { WorkflowStateTable } from "./workflow-state.ts";
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
} from "./zod-classic.ts";
