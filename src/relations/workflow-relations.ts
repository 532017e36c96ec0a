import {
  createWorkflowRelationsPart,
  type WorkflowRelationsPart,
} from "../schema/relations-part.ts";
import { schema } from "../schema/schema.ts";

/** The relations of the plain tables, to spread into the `relations` of `drizzle({ client, relations })`. */
export const workflowRelations: WorkflowRelationsPart = createWorkflowRelationsPart(schema);
