import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { createWorkflowRelations, createWorkflowTables } from "gorkflow/schema";

/** A table of the app whose name is already taken. */
export const ciRuns = sqliteTable("workflow_runs", {
  commit: text("commit").primaryKey(),
  runId: text("run_id").notNull(),
});

/** The JSON types of the app's runs. */
interface Json {
  Tags: Record<"branch", string>;
  Output: { readonly passed: boolean };
}

export const tables = createWorkflowTables({ prefix: "build_" }).$type<Json>();
export const {
  workflowRuns,
  stepExecutions,
  stepAttempts,
  stepOutputs,
  workflowState,
  workflowPauses,
} = tables;
export const {
  workflowRunsRelations,
  stepExecutionsRelations,
  stepAttemptsRelations,
  stepOutputsRelations,
  workflowStateRelations,
} = createWorkflowRelations(tables);
