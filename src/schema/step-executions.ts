import { sql } from "drizzle-orm";
import { check, index, primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { stepStatuses } from "../statuses.ts";
import { integer, json, jsonLimits, oneOf, text, time, writeTime } from "./columns.ts";
import type { JsonOf, WorkflowJson } from "./json-types.ts";
import type { WorkflowRunsTable } from "./workflow-runs.ts";

function stepColumns<Json extends Partial<WorkflowJson>>(runs: Pick<WorkflowRunsTable, "runId">) {
  return {
    runId: text("run_id")
      .notNull()
      .references(() => runs.runId, { onDelete: "cascade" }),
    stepId: text("step_id").notNull(),
    executionIndex: integer("execution_index").notNull().default(0),
    status: oneOf("status", stepStatuses).notNull().default("PENDING"),
    attempt: integer("attempt").notNull().default(0),
    attemptOffset: integer("attempt_offset").notNull().default(0),
    sleepCount: integer("sleep_count").notNull().default(0),
    wakeAt: time("wake_at"),
    input: json<JsonOf<Json, "StepInput">>("input", jsonLimits.payload),
    // the steps whose outputs are the input: one id, or the ids of a parallel stage
    inputFrom: json<string | string[]>("input_from", jsonLimits.payload),
    error: json<JsonOf<Json, "StepError">>("error", jsonLimits.detail),
    durationMs: integer("duration_ms"),
    createdAt: writeTime("created_at"),
    startedAt: time("started_at"),
    completedAt: time("completed_at"),
    updatedAt: writeTime("updated_at"),
    // that of the run, for reports: every write of a store sets it. Null in rows that an older version wrote
    workflowId: text("workflow_id"),
  };
}

export type StepExecutionsTable<
  Prefix extends string = string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
> = ReturnType<
  typeof sqliteTable<`${Prefix}step_executions`, ReturnType<typeof stepColumns<Json>>>
>;

/** One row per step that a run has reached. */
export function createStepExecutionsTable<
  Prefix extends string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
>(prefix: Prefix, runs: Pick<WorkflowRunsTable, "runId">): StepExecutionsTable<Prefix, Json> {
  const name = `${prefix}step_executions` as const;
  return sqliteTable(name, stepColumns<Json>(runs), (step) => [
    primaryKey({ name: `${name}_pk`, columns: [step.runId, step.stepId] }),
    check(`${name}_duration_ms_check`, sql.raw("duration_ms >= 0")),
    // reports `stepDurations`, `stepReliability`, `reliabilityOverTime`, `slowestSteps`, `stepErrorCodes` and `stepFunnel`.
    // It covers them, because the times are behind the payloads in a row
    index(`${name}_workflow_idx`)
      .on(
        step.workflowId,
        step.stepId,
        step.completedAt,
        step.status,
        step.attempt,
        step.durationMs,
        step.runId,
        step.executionIndex,
      )
      .where(sql.raw("completed_at is not null")),
  ]);
}
