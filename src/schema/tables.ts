import type { WorkflowJson } from "./json-types.ts";
import { createStepAttemptsTable } from "./step-attempts.ts";
import { createStepExecutionsTable } from "./step-executions.ts";
import { createStepOutputsTable } from "./step-outputs.ts";
import { createWorkflowRunsTable } from "./workflow-runs.ts";
import { createWorkflowStateTable } from "./workflow-state.ts";

/**
 * The five tables under names that begin with `prefix`, for a schema that already uses the plain ones, and with
 * the types of an app's own JSON: `createWorkflowTables<{ Context: Trace }, "app_">({ prefix: "app_" })`.
 */
export function createWorkflowTables<
  Json extends Partial<WorkflowJson> = WorkflowJson,
  Prefix extends string = "",
>(options: { readonly prefix?: Prefix } = {}) {
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

export const { workflowRuns, stepExecutions, stepAttempts, stepOutputs, workflowState } =
  createWorkflowTables();

/** The tables that a store works on: the plain ones, or those of `createWorkflowTables`. */
export type WorkflowTables = ReturnType<typeof createWorkflowTables<WorkflowJson, string>>;
