export type { RunStatus, StepStatus } from "../statuses.ts";
export { runStatuses, stepStatuses } from "../statuses.ts";
export {
  stepExecutionsRelations,
  stepOutputsRelations,
  workflowRunsRelations,
  workflowStateRelations,
} from "./relations.ts";
export type {
  NewStepExecution,
  NewStepOutput,
  NewWorkflowRun,
  NewWorkflowState,
  StepExecution,
  StepOutput,
  WorkflowRun,
  WorkflowRunSummary,
  WorkflowState,
} from "./rows.ts";
export { schema } from "./schema.ts";
export {
  createWorkflowTables,
  stepExecutions,
  stepOutputs,
  workflowRuns,
  workflowState,
} from "./tables.ts";
export type { WorkflowTables } from "./tables.ts";
export type { Tags } from "./workflow-runs.ts";
export {
  newStepExecutionSchema,
  newStepOutputSchema,
  newWorkflowRunSchema,
  newWorkflowStateSchema,
  runStatusSchema,
  stepExecutionChangesSchema,
  stepExecutionSchema,
  stepOutputSchema,
  stepStatusSchema,
  workflowRunChangesSchema,
  workflowRunSchema,
  workflowStateSchema,
} from "./zod.ts";
