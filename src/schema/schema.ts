import { plainRelations, type WorkflowRelations } from "./relations.ts";
import { tables, type WorkflowTables } from "./tables.ts";

/**
 * All tables, and the relations of Drizzle 0.45, for `drizzle({ client, schema })` or for an app's own schema.
 */
export const schema: WorkflowTables<""> & WorkflowRelations<""> = {
  ...tables,
  workflowRunsRelations: plainRelations.workflowRunsRelations,
  stepExecutionsRelations: plainRelations.stepExecutionsRelations,
  stepAttemptsRelations: plainRelations.stepAttemptsRelations,
  stepOutputsRelations: plainRelations.stepOutputsRelations,
  workflowStateRelations: plainRelations.workflowStateRelations,
};
