import { and, count, isNotNull, sql } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod";
import { integer, text } from "../schema/columns.ts";
import { ofRuns, unindexed, within } from "./query/conditions.ts";
import { durationColumns, groupCounts, selectGroups } from "./query/durations.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import { builder, type ReportDatabase, type ReportQuery } from "./query/query.ts";

const optionsSchema = z.strictObject(reportShape);

const columns = {
  workflowId: text("workflow_id").notNull(),
  runs: integer("runs").notNull(),
  ...durationColumns(),
};
const row: ReturnType<typeof sqliteTable<"queue_latency", typeof columns>> = sqliteTable(
  "queue_latency",
  columns,
);

export type QueueLatencyRow = typeof row.$inferSelect;

/**
 * How long the runs of each workflow waited for a worker, from `createdAt` to `startedAt`. One row per workflow with runs
 * that have started.
 *
 * The window applies to `createdAt`. Percentiles use the nearest rank. Ordered by `workflowId`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function queueLatency<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<ReportOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const { tables, ...filter } = parseReport(optionsSchema, db, options);
  const runs = tables.workflowRuns;
  const waitedMs = sql`max(0, ${runs.startedAt} - ${runs.createdAt})`;
  const counted = builder
    .select({
      workflowId: runs.workflowId,
      durationMs: waitedMs.as("duration_ms"),
      times: count().as("times"),
    })
    .from(runs)
    .where(and(isNotNull(runs.startedAt), ofRuns(runs, filter), within(runs.createdAt, filter)))
    .groupBy(unindexed(runs.workflowId), waitedMs);
  const keys = [row.workflowId];
  return selectGroups(db, tables, row, groupCounts(counted, keys, "runs"), keys);
}
