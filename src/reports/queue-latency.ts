import { and, count, inArray, isNotNull, sql, type SQL } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { runStatuses } from "../statuses.ts";
import { integer, text } from "../schema/columns.ts";
import { hasNoDetails, isWindow, ofRuns, unindexed, within } from "./query/conditions.ts";
import { durationColumns, groupCounts, rankIndexed, selectGroups } from "./query/durations.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import { builder, type ReportDatabase, type ReportQuery } from "./query/query.ts";
import { knownWorkflows, ofKnownWorkflow } from "./query/runs-by-workflow.ts";

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
  const waitedMs = sql`${runs.startedAt} - ${runs.createdAt}`;
  const isCreated = within(runs.createdAt, filter);
  const keys = [row.workflowId];
  if (hasNoDetails(filter)) {
    // With the statuses, SQLite searches the window in the index by workflow.
    const inWindow = isWindow(filter)
      ? and(inArray(runs.status, runStatuses), isCreated)
      : undefined;
    const durationsOf = (condition?: SQL) =>
      ofKnownWorkflow(runs, waitedMs, and(condition, inWindow));
    const known = knownWorkflows(runs, filter.workflowId);
    const ranked = rankIndexed(known, durationsOf, sql`${runs}.rowid`, "runs");
    return selectGroups(db, tables, row, ranked, keys);
  }
  const durationMs = sql`max(0, ${waitedMs})`;
  const counted = builder
    .select({
      workflowId: runs.workflowId,
      durationMs: durationMs.as("duration_ms"),
      times: count().as("times"),
    })
    .from(runs)
    .where(and(isNotNull(runs.startedAt), isCreated, ofRuns(runs, filter)))
    .groupBy(unindexed(runs.workflowId), durationMs);
  return selectGroups(db, tables, row, groupCounts(counted, keys, "runs"), keys);
}
