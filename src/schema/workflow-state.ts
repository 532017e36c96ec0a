import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { json, jsonLimits, time } from "./columns.ts";
import type { JsonOf, WorkflowJson } from "./json-types.ts";
import type { WorkflowRunsTable } from "./workflow-runs.ts";

/** The key-value state of a run, shared by its steps. */
export function createWorkflowStateTable<
  Prefix extends string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
>(prefix: Prefix, runs: Pick<WorkflowRunsTable, "runId">) {
  const name = `${prefix}workflow_state` as const;
  return sqliteTable(
    name,
    {
      runId: text("run_id")
        .notNull()
        .references(() => runs.runId, { onDelete: "cascade" }),
      key: text("key").notNull(),
      value: json<JsonOf<Json, "State">>("value", jsonLimits.value).notNull(),
      revision: integer("revision").notNull().default(1),
      updatedAt: time("updated_at")
        .notNull()
        .$defaultFn(() => new Date()),
    },
    (state) => [primaryKey({ name: `${name}_pk`, columns: [state.runId, state.key] })],
  );
}
