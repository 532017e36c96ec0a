export { createWorkflowRelationsPart } from "../schema/relations-part.ts";
export type { WorkflowRelationsPart } from "../schema/relations-part.ts";
export { workflowRelations } from "./workflow-relations.ts";
