import { and, eq, isNotNull, sql } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { integer, real, text, time } from "../schema/columns.ts";
import { runStatuses, type RunStatus } from "../statuses.ts";
import { ofRuns, unindexed, within } from "./query/conditions.ts";
import { rankDurations, selectGroups, sorted } from "./query/durations.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import { type ReportDatabase, type ReportQuery } from "./query/query.ts";

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
  const isDone = and(
    eq(runs.status, "COMPLETED"),
    isNotNull(runs.completedAt),
    isNotNull(runs.startedAt),
  );
  const durations = sql`json_group_array(${runs.completedAt} - ${runs.startedAt})`;
  const groups = sql`select ${runs.workflowId}, ${runs.workflowVersion}, count(*) as runs,
      min(${runs.createdAt}) as first_at, max(${runs.createdAt}) as last_at,
      ${sql.join(runStatuses.map(having), sql`, `)},
      ${durations} filter (where ${isDone}) as durations,
      ${durations} filter (where ${runs}.rowid % 31 = 0 and ${isDone}) as sampled
    from ${runs} where ${and(ofRuns(runs, filter), within(runs.createdAt, filter)) ?? sql`true`}
    group by ${unindexed(runs.workflowId)}, ${runs.workflowVersion}`;
  const sample = sorted(sql`select value from json_each(known.sampled)`);
  const ranked = sql`select *, 1.0 * failed / nullif(completed + failed, 0) as failure_rate
    from (${rankDurations(groups, sample, durationsOf)})`;
  return selectGroups(db, tables, row, ranked, [row.workflowId, row.firstAt, row.workflowVersion]);
}

const durationsOf = () => sql`select value as duration_ms from json_each(known.durations)`;

const having = (status: RunStatus) =>
  sql`count(*) filter (where status = ${status}) as ${sql.identifier(status.toLowerCase())}`;
