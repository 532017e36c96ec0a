import {
  stepAttemptsRelations,
  stepExecutionsRelations,
  stepOutputsRelations,
  workflowRunsRelations,
  workflowStateRelations,
  type WorkflowRelations,
} from "./relations.ts";
import {
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowRuns,
  workflowState,
  type WorkflowTables,
} from "./tables.ts";

/**
 * All tables, and the relations of Drizzle 0.45, for `drizzle({ client, schema })` or to spread into an app's own
 * schema.
 */
export const schema: WorkflowTables<""> & WorkflowRelations<""> = {
  workflowRuns,
  stepExecutions,
  stepAttempts,
  stepOutputs,
  workflowState,
  workflowRunsRelations,
  stepExecutionsRelations,
  stepAttemptsRelations,
  stepOutputsRelations,
  workflowStateRelations,
};
