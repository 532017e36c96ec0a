import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { stepStatuses } from "../statuses.ts";
import { json, jsonLimits, time } from "./columns.ts";
import type { JsonOf, WorkflowJson } from "./json-types.ts";
import type { WorkflowRunsTable } from "./workflow-runs.ts";

/** How each try of a step ended, where one was not enough. It may exist without the step's own row. */
export function createStepAttemptsTable<
  Prefix extends string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
>(prefix: Prefix, runs: Pick<WorkflowRunsTable, "runId">) {
  const name = `${prefix}step_attempts` as const;
  return sqliteTable(
    name,
    {
      runId: text("run_id")
        .notNull()
        .references(() => runs.runId, { onDelete: "cascade" }),
      stepId: text("step_id").notNull(),
      attempt: integer("attempt").notNull(),
      status: text("status", { enum: stepStatuses }).notNull(),
      error: json<JsonOf<Json, "StepError">>("error", jsonLimits.detail),
      workerId: text("worker_id"),
      startedAt: time("started_at"),
      completedAt: time("completed_at"),
    },
    (row) => [primaryKey({ name: `${name}_pk`, columns: [row.runId, row.stepId, row.attempt] })],
  );
}
