import {
  stepExecutionsRelations,
  stepOutputsRelations,
  workflowRunsRelations,
  workflowStateRelations,
} from "./relations.ts";
import { stepExecutions, stepOutputs, workflowRuns, workflowState } from "./tables.ts";

/** All tables and relations, for `drizzle({ client, schema })` or to spread into an app's own schema. */
export const schema = {
  workflowRuns,
  stepExecutions,
  stepOutputs,
  workflowState,
  workflowRunsRelations,
  stepExecutionsRelations,
  stepOutputsRelations,
  workflowStateRelations,
};
