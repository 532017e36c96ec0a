import { and, isNotNull, sql } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { integer, text } from "../schema/columns.ts";
import {
  bucketColumns,
  bucketShape,
  bucketStart,
  inBuckets,
  type BucketOptions,
} from "./query/buckets.ts";
import { listOf } from "./query/conditions.ts";
import { durationColumns, groupDurations, selectGroups } from "./query/durations.ts";
import { finishedRuns } from "./query/finished.ts";
import { parseReport } from "./query/options.ts";
import { builder, type ReportDatabase, type ReportQuery } from "./query/query.ts";
import { runDurationsShape, type RunDurationsOptions } from "./run-durations.ts";

export interface DurationsOverTimeOptions extends RunDurationsOptions, BucketOptions {}

const optionsSchema = z.strictObject({ ...runDurationsShape, ...bucketShape });

const columns = {
  ...bucketColumns(),
  workflowId: text("workflow_id").notNull(),
  runs: integer("runs").notNull(),
  ...durationColumns(),
};
const row: ReturnType<typeof sqliteTable<"durations_over_time", typeof columns>> = sqliteTable(
  "durations_over_time",
  columns,
);

export type DurationsOverTimeRow = typeof row.$inferSelect;

/**
 * The durations of the runs of each workflow over time, from `startedAt` to `completedAt`. One row per bucket and
 * workflow with such runs.
 *
 * A run is in the bucket of its `completedAt`, to which the window applies. Percentiles use the nearest rank. Ordered by
 * `bucketStart`, then `workflowId`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function durationsOverTime<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<DurationsOverTimeOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const { status = "COMPLETED", per, zone, ...finished } = parseReport(optionsSchema, db, options);
  const runs = finished.tables.workflowRuns;
  const ended = builder
    .select({
      at: sql`${runs.completedAt}`.as("at"),
      workflowId: runs.workflowId,
      durationMs: sql`max(0, ${runs.completedAt} - ${runs.startedAt})`.as("duration_ms"),
    })
    .from(runs)
    .where(and(isNotNull(runs.startedAt), finishedRuns(finished, listOf(status), "index")))
    .as("ended");
  const inBucket = builder
    .select({ bucketStart, workflowId: ended.workflowId, durationMs: ended.durationMs })
    .from(inBuckets(ended, { per, zone }));
  const keys = [row.bucketStart, row.workflowId];
  const groups = groupDurations(inBucket, keys, sql`count(*) as runs`);
  return selectGroups(db, finished.tables, row, groups, keys);
}
