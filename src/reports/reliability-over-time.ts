import { inArray, sql } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod";
import { text } from "../schema/columns.ts";
import {
  bucketColumns,
  bucketShape,
  bucketStart,
  inBuckets,
  type BucketOptions,
} from "./query/buckets.ts";
import { finishedSteps } from "./query/finished.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import { reliabilityColumns, reliabilityOf } from "./query/reliability.ts";
import {
  builder,
  rowOf,
  selectReport,
  type ReportDatabase,
  type ReportQuery,
} from "./query/query.ts";

export interface ReliabilityOverTimeOptions extends ReportOptions, BucketOptions {}

const optionsSchema = z.strictObject({ ...reportShape, ...bucketShape });

const columns = {
  ...bucketColumns(),
  workflowId: text("workflow_id").notNull(),
  ...reliabilityColumns(),
};
const row: ReturnType<typeof sqliteTable<"reliability_over_time", typeof columns>> = sqliteTable(
  "reliability_over_time",
  columns,
);

export type ReliabilityOverTimeRow = typeof row.$inferSelect;

/**
 * The failures and retries of the steps of each workflow over time. One row per bucket and workflow with a COMPLETED or
 * FAILED execution.
 *
 * The columns are those of `stepReliability`. A step is in the bucket of its `completedAt`, to which the window applies.
 * Ordered by `bucketStart`, then `workflowId`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function reliabilityOverTime<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<ReliabilityOverTimeOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const { per, zone, ...finished } = parseReport(optionsSchema, db, options);
  const steps = finishedSteps(
    finished,
    inArray(finished.tables.stepExecutions.status, ["COMPLETED", "FAILED"]),
  );
  const { workflowId, status, attempt } = steps;
  const ended = builder
    .select({ at: sql`${steps.completedAt}`.as("at"), workflowId, status, attempt })
    .from(steps)
    .as("ended");
  const report = builder
    .select(rowOf(row, { bucketStart, workflowId: ended.workflowId, ...reliabilityOf(ended) }))
    .from(inBuckets(ended, { per, zone }))
    .groupBy(bucketStart, sql`${ended.workflowId}`);
  return selectReport(db, finished.tables, row, report, row.bucketStart, row.workflowId);
}
