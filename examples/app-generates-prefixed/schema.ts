import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { createWorkflowRelations, createWorkflowTables } from "gorkflow/schema";

/** A table of this app that has had the name for years. */
export const ciRuns = sqliteTable("workflow_runs", {
  commit: text("commit").primaryKey(),
  runId: text("run_id").notNull(),
});

/** What the app's runs carry, so that queries are typed with it. */
interface Json {
  Tags: Record<"branch", string>;
  Output: { readonly passed: boolean };
}

export const tables = createWorkflowTables<Json, "build_">({ prefix: "build_" });
export const { workflowRuns, stepExecutions, stepAttempts, stepOutputs, workflowState } = tables;
export const {
  workflowRunsRelations,
  stepExecutionsRelations,
  stepAttemptsRelations,
  stepOutputsRelations,
  workflowStateRelations,
} = createWorkflowRelations(tables);
