import { and, count, eq, max, min, sql } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod";
import { integer, real, text, time } from "../schema/columns.ts";
import type { RunStatus } from "../statuses.ts";
import { ofRuns, unindexed, within } from "./query/conditions.ts";
import { nameOf, percentiles, rankedDurations } from "./query/durations.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import {
  builder,
  rowOf,
  selectReport,
  type ReportDatabase,
  type ReportQuery,
} from "./query/query.ts";

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
  const having = (status: RunStatus) => sql`sum(${eq(runs.status, status)})`;
  const counted = builder
    .select({
      workflowId: runs.workflowId,
      workflowVersion: runs.workflowVersion,
      durationMs: durationMs.as("duration_ms"),
      times: sql`count(${durationMs})`.as("times"),
      runs: count().as("runs"),
      pending: having("PENDING").as("pending"),
      running: having("RUNNING").as("running"),
      completed: having("COMPLETED").as("completed"),
      failed: having("FAILED").as("failed"),
      cancelled: having("CANCELLED").as("cancelled"),
      firstAt: min(runs.createdAt).as("first_at"),
      lastAt: max(runs.createdAt).as("last_at"),
    })
    .from(runs)
    .where(and(ofRuns(runs, filter), within(runs.createdAt, filter)))
    .groupBy(unindexed(runs.workflowId), unindexed(runs.workflowVersion), durationMs);
  const keys = [row.workflowId, row.workflowVersion] as const;
  const report = builder
    .select(
      rowOf(row, {
        workflowId: nameOf(row.workflowId),
        workflowVersion: nameOf(row.workflowVersion),
        runs: sql`sum(runs)`,
        pending: sql`sum(pending)`,
        running: sql`sum(running)`,
        completed: sql`sum(completed)`,
        failed: sql`sum(failed)`,
        cancelled: sql`sum(cancelled)`,
        // Null if it divides by zero.
        failureRate: sql`1.0 * sum(failed) / sum(completed + failed)`,
        firstAt: sql`min(first_at)`,
        lastAt: sql`max(last_at)`,
        ...percentiles,
      }),
    )
    .from(rankedDurations(counted, keys))
    .groupBy(...keys.map(nameOf));
  return selectReport(db, tables, row, report, row.workflowId, row.firstAt, row.workflowVersion);
}
