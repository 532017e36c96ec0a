import { primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { integer, json, jsonLimits, text, writeTime } from "./columns.ts";
import type { JsonOf, WorkflowJson } from "./json-types.ts";
import type { WorkflowRunsTable } from "./workflow-runs.ts";

function stateColumns<Json extends Partial<WorkflowJson>>(runs: Pick<WorkflowRunsTable, "runId">) {
  return {
    runId: text("run_id")
      .notNull()
      .references(() => runs.runId, { onDelete: "cascade" }),
    key: text("key").notNull(),
    value: json<JsonOf<Json, "State">>("value", jsonLimits.value).notNull(),
    revision: integer("revision").notNull().default(1),
    updatedAt: writeTime("updated_at"),
  };
}

export type WorkflowStateTable<
  Prefix extends string = string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
> = ReturnType<
  typeof sqliteTable<`${Prefix}workflow_state`, ReturnType<typeof stateColumns<Json>>>
>;

/** The state values that the steps of a run share. */
export function createWorkflowStateTable<
  Prefix extends string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
>(prefix: Prefix, runs: Pick<WorkflowRunsTable, "runId">): WorkflowStateTable<Prefix, Json> {
  const name = `${prefix}workflow_state` as const;
  return sqliteTable(name, stateColumns<Json>(runs), (state) => [
    primaryKey({ name: `${name}_pk`, columns: [state.runId, state.key] }),
  ]);
}
