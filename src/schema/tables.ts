import type { WorkflowJson } from "./json-types.ts";
import { createStepAttemptsTable, type StepAttemptsTable } from "./step-attempts.ts";
import { createStepExecutionsTable, type StepExecutionsTable } from "./step-executions.ts";
import { createStepOutputsTable, type StepOutputsTable } from "./step-outputs.ts";
import { createWorkflowRunsTable, type WorkflowRunsTable } from "./workflow-runs.ts";
import { createWorkflowStateTable, type WorkflowStateTable } from "./workflow-state.ts";

/** The tables of a store, with or without a prefix. */
export type WorkflowTables<
  Prefix extends string = string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
> = {
  workflowRuns: WorkflowRunsTable<Prefix, Json>;
  stepExecutions: StepExecutionsTable<Prefix, Json>;
  stepAttempts: StepAttemptsTable<Prefix, Json>;
  stepOutputs: StepOutputsTable<Prefix, Json>;
  workflowState: WorkflowStateTable<Prefix, Json>;
};

/**
 * Returns the tables with names that begin with `prefix`, and with the app's own types of JSON columns:
 * `createWorkflowTables<{ Context: Trace }, "app_">({ prefix: "app_" })`.
 */
export function createWorkflowTables<
  Json extends Partial<WorkflowJson> = WorkflowJson,
  Prefix extends string = "",
>(options: { readonly prefix?: Prefix } = {}): WorkflowTables<Prefix, Json> {
  const prefix = (options.prefix ?? "") as Prefix;
  const workflowRuns = createWorkflowRunsTable<Prefix, Json>(prefix);
  return {
    workflowRuns,
    stepExecutions: createStepExecutionsTable<Prefix, Json>(prefix, workflowRuns),
    stepAttempts: createStepAttemptsTable<Prefix, Json>(prefix, workflowRuns),
    stepOutputs: createStepOutputsTable<Prefix, Json>(prefix, workflowRuns),
    workflowState: createWorkflowStateTable<Prefix, Json>(prefix, workflowRuns),
  };
}

/** The tables without a prefix. */
export const tables: WorkflowTables<""> = createWorkflowTables();

export const workflowRuns: WorkflowRunsTable<""> = tables.workflowRuns;
export const stepExecutions: StepExecutionsTable<""> = tables.stepExecutions;
export const stepAttempts: StepAttemptsTable<""> = tables.stepAttempts;
export const stepOutputs: StepOutputsTable<""> = tables.stepOutputs;
export const workflowState: WorkflowStateTable<""> = tables.workflowState;
