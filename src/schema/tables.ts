import { createStepAttemptsTable } from "./step-attempts.ts";
import { createStepExecutionsTable } from "./step-executions.ts";
import { createStepOutputsTable } from "./step-outputs.ts";
import { createWorkflowRunsTable } from "./workflow-runs.ts";
import { createWorkflowStateTable } from "./workflow-state.ts";

/** The five tables under names that begin with `prefix`, for a schema that already uses the plain ones. */
export function createWorkflowTables<Prefix extends string = "">(
  options: { readonly prefix?: Prefix } = {},
) {
  const prefix = (options.prefix ?? "") as Prefix;
  const workflowRuns = createWorkflowRunsTable(prefix);
  return {
    workflowRuns,
    stepExecutions: createStepExecutionsTable(prefix, workflowRuns),
    stepAttempts: createStepAttemptsTable(prefix, workflowRuns),
    stepOutputs: createStepOutputsTable(prefix, workflowRuns),
    workflowState: createWorkflowStateTable(prefix, workflowRuns),
  };
}

export const { workflowRuns, stepExecutions, stepAttempts, stepOutputs, workflowState } =
  createWorkflowTables();

/** The tables that a store works on: the plain ones, or those of `createWorkflowTables`. */
export type WorkflowTables = ReturnType<typeof createWorkflowTables<string>>;
