import { and, sql, sum, type SQL } from "drizzle-orm";
import { sqliteTable, unionAll, type SQLiteColumn } from "drizzle-orm/sqlite-core";
import * as z from "zod";
import type { RunStatus } from "../statuses.ts";
import { integer, text } from "../schema/columns.ts";
import {
  bucketColumns,
  bucketShape,
  bucketStart,
  inBuckets,
  type BucketOptions,
} from "./query/buckets.ts";
import { ofRuns, within } from "./query/conditions.ts";
import { finishedRuns } from "./query/finished.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import {
  builder,
  rowOf,
  selectReport,
  type ReportDatabase,
  type ReportQuery,
} from "./query/query.ts";

export interface ThroughputOptions extends ReportOptions, BucketOptions {}

const optionsSchema = z.strictObject({ ...reportShape, ...bucketShape });

const columns = {
  ...bucketColumns(),
  workflowId: text("workflow_id").notNull(),
  created: integer("created").notNull(),
  completed: integer("completed").notNull(),
  failed: integer("failed").notNull(),
  cancelled: integer("cancelled").notNull(),
};
const row: ReturnType<typeof sqliteTable<"throughput", typeof columns>> = sqliteTable(
  "throughput",
  columns,
);

/** A row of `throughput`. */
export type ThroughputRow = typeof row.$inferSelect;

const outcomes = {
  completed: "COMPLETED",
  failed: "FAILED",
  cancelled: "CANCELLED",
} as const satisfies Record<string, RunStatus>;

/**
 * The number of created, completed, failed and cancelled runs over time. One row per bucket and workflow with activity.
 *
 * A run is counted as created at its `createdAt`, and as ended at its `completedAt`. The window applies to each of them.
 * Ordered by `bucketStart`, then `workflowId`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function throughput<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<ThroughputOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const { tables, per, zone, ...filter } = parseReport(optionsSchema, db, options);
  const runs = tables.workflowRuns;
  const events = (at: SQLiteColumn, counts: (outcome: keyof typeof outcomes) => SQL, made: SQL) =>
    builder
      .select({
        at: sql`${at}`.as("at"),
        workflowId: runs.workflowId,
        created: made.as("created"),
        completed: counts("completed").as("completed"),
        failed: counts("failed").as("failed"),
        cancelled: counts("cancelled").as("cancelled"),
      })
      .from(runs);
  const created = events(runs.createdAt, () => sql`0`, sql`1`).where(
    and(ofRuns(runs, filter), within(runs.createdAt, filter)),
  );
  const ended = events(
    runs.completedAt,
    (outcome) => sql`${runs.status} = ${outcomes[outcome]}`,
    sql`0`,
  ).where(finishedRuns({ tables, ...filter }, Object.values(outcomes), "index"));
  const all = unionAll(created, ended).as("events");
  const report = builder
    .select(
      rowOf(row, {
        bucketStart,
        workflowId: all.workflowId,
        created: sum(all.created),
        completed: sum(all.completed),
        failed: sum(all.failed),
        cancelled: sum(all.cancelled),
      }),
    )
    .from(inBuckets(all, { per, zone }))
    .groupBy(bucketStart, all.workflowId);
  return selectReport(db, tables, row, report, row.bucketStart, row.workflowId);
}
