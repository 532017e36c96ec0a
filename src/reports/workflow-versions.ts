import { and, eq, sql } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { integer, real, text, time } from "../schema/columns.ts";
import { runStatuses, type RunStatus } from "../statuses.ts";
import { ofRuns, unindexed, within } from "./query/conditions.ts";
import { groupDurations, selectGroups } from "./query/durations.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import { builder, type ReportDatabase, type ReportQuery } from "./query/query.ts";

const optionsSchema = z.strictObject(reportShape);

const columns = {
  workflowId: text("workflow_id").notNull(),
  workflowVersion: text("workflow_version").notNull(),
  runs: integer("runs").notNull(),
  pending: integer("pending").notNull(),
  running: integer("running").notNull(),
  completed: integer("completed").notNull(),
  failed: integer("failed").notNull(),
  cancelled: integer("cancelled").notNull(),
  failureRate: real("failure_rate"),
  firstAt: time("first_at").notNull(),
  lastAt: time("last_at").notNull(),
  p50Ms: integer("p50_ms"),
  p90Ms: integer("p90_ms"),
  p95Ms: integer("p95_ms"),
  p99Ms: integer("p99_ms"),
  maxMs: integer("max_ms"),
};
const row: ReturnType<typeof sqliteTable<"workflow_versions", typeof columns>> = sqliteTable(
  "workflow_versions",
  columns,
);

export type WorkflowVersionsRow = typeof row.$inferSelect;

/**
 * The runs of each version of a workflow: their statuses, and the durations of those that are COMPLETED. One row per
 * version with runs.
 *
 * `failureRate` is `failed / (completed + failed)`, or null without such runs. `firstAt` and `lastAt` are the first and
 * last `createdAt`, to which the window applies. Percentiles use the nearest rank, and are null without COMPLETED runs
 * that have started. Ordered by `workflowId`, then `firstAt`, then `workflowVersion`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function workflowVersions<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<ReportOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const { tables, ...filter } = parseReport(optionsSchema, db, options);
  const runs = tables.workflowRuns;
  const durationMs = sql`iif(${eq(runs.status, "COMPLETED")}, max(0, ${runs.completedAt} - ${runs.startedAt}), null)`;
  const created = builder
    .select({
      workflowId: sql`${unindexed(runs.workflowId)}`.as("workflow_id"),
      workflowVersion: runs.workflowVersion,
      status: runs.status,
      createdAt: runs.createdAt,
      durationMs: durationMs.as("duration_ms"),
    })
    .from(runs)
    .where(and(ofRuns(runs, filter), within(runs.createdAt, filter)));
  const groups = groupDurations(
    created,
    [row.workflowId, row.workflowVersion],
    sql`count(*) as runs, min(created_at) as first_at, max(created_at) as last_at,
      ${sql.join(runStatuses.map(having), sql`, `)},
      1.0 * sum(status = 'FAILED') / sum(status in ('COMPLETED', 'FAILED')) as failure_rate`,
  );
  return selectGroups(db, tables, row, groups, [row.workflowId, row.firstAt, row.workflowVersion]);
}

const having = (status: RunStatus) =>
  sql`sum(status = ${status}) as ${sql.identifier(status.toLowerCase())}`;
