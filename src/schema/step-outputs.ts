import { primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { json, jsonLimits, text, writeTime } from "./columns.ts";
import type { JsonOf, WorkflowJson } from "./json-types.ts";
import type { WorkflowRunsTable } from "./workflow-runs.ts";

function outputColumns<Json extends Partial<WorkflowJson>>(runs: Pick<WorkflowRunsTable, "runId">) {
  return {
    runId: text("run_id")
      .notNull()
      .references(() => runs.runId, { onDelete: "cascade" }),
    stepId: text("step_id").notNull(),
    output: json<JsonOf<Json, "StepOutput">>("output", jsonLimits.value).notNull(),
    createdAt: writeTime("created_at"),
    updatedAt: writeTime("updated_at"),
  };
}

export type StepOutputsTable<
  Prefix extends string = string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
> = ReturnType<typeof sqliteTable<`${Prefix}step_outputs`, ReturnType<typeof outputColumns<Json>>>>;

/** The outputs of steps. A row may exist without the row of its step. */
export function createStepOutputsTable<
  Prefix extends string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
>(prefix: Prefix, runs: Pick<WorkflowRunsTable, "runId">): StepOutputsTable<Prefix, Json> {
  const name = `${prefix}step_outputs` as const;
  return sqliteTable(name, outputColumns<Json>(runs), (output) => [
    primaryKey({ name: `${name}_pk`, columns: [output.runId, output.stepId] }),
  ]);
}
