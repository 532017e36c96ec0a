import { sql } from "drizzle-orm";
import { check, index, sqliteTable, uniqueIndex } from "drizzle-orm/sqlite-core";
import { newId } from "../new-id.ts";
import { runStatuses } from "../statuses.ts";
import { integer, json, jsonLimits, oneOf, real, text, time, writeTime } from "./columns.ts";
import type { JsonOf, WorkflowJson } from "./json-types.ts";

function runColumns<Json extends Partial<WorkflowJson>>() {
  return {
    runId: text("run_id").primaryKey().$defaultFn(newId),
    workflowId: text("workflow_id").notNull(),
    workflowVersion: text("workflow_version").notNull().default("1"),
    status: oneOf("status", runStatuses).notNull().default("PENDING"),
    progress: real("progress").notNull().default(0),
    input: json<JsonOf<Json, "Input">>("input", jsonLimits.payload),
    output: json<JsonOf<Json, "Output">>("output", jsonLimits.payload),
    error: json<JsonOf<Json, "Error">>("error", jsonLimits.detail),
    context: json<JsonOf<Json, "Context">>("context", jsonLimits.detail),
    tags: json<JsonOf<Json, "Tags">>("tags", jsonLimits.detail),
    resourceId: text("resource_id"),
    idempotencyKey: text("idempotency_key"),
    workerId: text("worker_id"),
    claimedAt: time("claimed_at"),
    leaseExpiresAt: time("lease_expires_at"),
    wakeAt: time("wake_at"),
    deadlineAt: time("deadline_at"),
    timeoutMs: integer("timeout_ms"),
    attempt: integer("attempt").notNull().default(0),
    lostLeases: integer("lost_leases").notNull().default(0),
    revision: integer("revision").notNull().default(1),
    stateRevision: integer("state_revision").notNull().default(0),
    createdAt: writeTime("created_at"),
    startedAt: time("started_at"),
    completedAt: time("completed_at"),
    updatedAt: writeTime("updated_at"),
  };
}

export type WorkflowRunsTable<
  Prefix extends string = string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
> = ReturnType<typeof sqliteTable<`${Prefix}workflow_runs`, ReturnType<typeof runColumns<Json>>>>;

/**
 * One row per run. The rows of all other tables reference it and are deleted with it.
 *
 * The comment of each index names its queries, and `test/stores/libsql/query-plans.test.ts` checks that they use it.
 */
export function createWorkflowRunsTable<
  Prefix extends string,
  Json extends Partial<WorkflowJson> = WorkflowJson,
>(prefix: Prefix): WorkflowRunsTable<Prefix, Json> {
  const name = `${prefix}workflow_runs` as const;
  return sqliteTable(name, runColumns<Json>(), (run) => [
    check(`${name}_progress_check`, sql.raw("progress between 0 and 1")),
    // listRuns without a filter, or by time; DELETE … WHERE created_at < …
    index(`${name}_created_at_idx`).on(run.createdAt, run.runId),
    // listRuns by status; countRuns; claimRuns of any workflow
    index(`${name}_status_idx`).on(run.status, run.createdAt, run.runId),
    // listRuns and countRuns by workflow, with or without a status. It covers the reports `runDurations` and `queueLatency`
    index(`${name}_workflow_idx`).on(
      run.workflowId,
      run.status,
      run.createdAt,
      run.runId,
      run.startedAt,
      run.completedAt,
    ),
    // listRuns by resource
    index(`${name}_resource_idx`)
      .on(run.resourceId, run.createdAt, run.runId)
      .where(sql.raw("resource_id is not null")),
    // createRun with an idempotency key
    uniqueIndex(`${name}_idempotency_idx`)
      .on(run.workflowId, run.idempotencyKey)
      .where(sql.raw("idempotency_key is not null")),
    // claimRuns of RUNNING runs whose lease has expired
    index(`${name}_lease_idx`)
      .on(run.workflowId, run.workflowVersion, run.leaseExpiresAt)
      .where(sql.raw("lease_expires_at is not null")),
    // claimRuns by version of a workflow: runs without `wake_at` by creation, others by `wake_at`
    index(`${name}_ready_idx`)
      .on(run.workflowId, run.workflowVersion, run.wakeAt, run.createdAt, run.runId)
      .where(sql.raw("status = 'PENDING'")),
    // claimRuns of any workflow: runs whose `wake_at` has passed
    index(`${name}_wake_idx`)
      .on(run.wakeAt, run.createdAt, run.runId)
      .where(sql.raw("wake_at is not null")),
    // pruneRuns; reports `throughput` and `runDurations`. It covers them, because the times are behind the payloads in a row
    index(`${name}_completed_at_idx`)
      .on(run.completedAt, run.workflowId, run.status, run.startedAt)
      .where(sql.raw("completed_at is not null")),
    // report `durationsOverTime`, which sorts the runs of one workflow and bucket at a time
    index(`${name}_ended_idx`)
      .on(run.workflowId, run.status, run.completedAt, run.startedAt)
      .where(sql.raw("completed_at is not null")),
  ]);
}
