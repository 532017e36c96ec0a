import { primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { stepStatuses } from "../statuses.ts";
import { integer, json, jsonLimits, oneOf, text, time } from "./columns.ts";
import type { JsonOf, WorkflowJson } from "./json-types.ts";
import type { WorkflowRunsTable } from "./workflow-runs.ts";

function attemptColumns<Json extends Partial<WorkflowJson>>(
  runs: Pick<WorkflowRunsTable, "runId">,
) {
  return {
    runId: text("run_id")
      .notNull()
      .references(() => runs.runId, { onDelete: "cascade" }),
    stepId: text("step_id").notNull(),
    attempt: integer("attempt").notNull(),
    status: oneOf("status", stepStatuses).notNull(),
    error: json<JsonOf<Json, "StepError">>("error", jsonLimits.detail),
    workerId: text("worker_id"),
    startedAt: time("started_at"),
    completedAt: time("completed_at"),
  };
}

export type StepAttemptsTable<
  Prefix extends string = string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
> = ReturnType<
  typeof sqliteTable<`${Prefix}step_attempts`, ReturnType<typeof attemptColumns<Json>>>
>;

/** The attempts of steps that needed more than one. A row may exist without the row of its step. */
export function createStepAttemptsTable<
  Prefix extends string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
>(prefix: Prefix, runs: Pick<WorkflowRunsTable, "runId">): StepAttemptsTable<Prefix, Json> {
  const name = `${prefix}step_attempts` as const;
  return sqliteTable(name, attemptColumns<Json>(runs), (row) => [
    primaryKey({ name: `${name}_pk`, columns: [row.runId, row.stepId, row.attempt] }),
  ]);
}
