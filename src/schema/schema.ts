import {
  stepAttemptsRelations,
  stepExecutionsRelations,
  stepOutputsRelations,
  workflowRunsRelations,
  workflowStateRelations,
} from "./relations.ts";
import {
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowRuns,
  workflowState,
} from "./tables.ts";

/** All tables and relations, for `drizzle({ client, schema })` or to spread into an app's own schema. */
export const schema = {
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
