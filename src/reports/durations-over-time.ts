import { and, isNotNull, sql, type SQL } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { integer, text } from "../schema/columns.ts";
import type { WorkflowTables } from "../schema/tables.ts";
import type { RunStatus } from "../statuses.ts";
import {
  bucketColumns,
  bucketShape,
  bucketStart,
  inBuckets,
  type BucketOptions,
} from "./query/buckets.ts";
import {
  hasNoDetails,
  listOf,
  withDetails,
  type RunConditions,
  type Window,
} from "./query/conditions.ts";
import {
  durationColumns,
  groupDurations,
  mergeSorted,
  selectGroups,
  sorted,
} from "./query/durations.ts";
import { finishedRuns } from "./query/finished.ts";
import { parseReport } from "./query/options.ts";
import { builder, type ReportDatabase, type ReportQuery } from "./query/query.ts";
import { knownWorkflows } from "./query/runs-by-workflow.ts";
import { spansOf } from "./query/spans.ts";
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
  const statuses = listOf(status);
  // With a search for each hour of a workflow, few rows would be found by each. Details are in the rows of the runs, and those
  // of all workflows are found sooner in the order of their time.
  const bySpan = per !== "hour" && (finished.workflowId !== undefined || hasNoDetails(finished));
  const groups = (bySpan ? sortSpans : sortRows)(finished, statuses, { per, zone });
  return selectGroups(db, finished.tables, row, groups, keys);
}

const keys = [row.bucketStart, row.workflowId];

interface Filter extends Window, RunConditions {
  readonly tables: WorkflowTables;
}

function sortRows(finished: Filter, statuses: readonly RunStatus[], options: BucketOptions): SQL {
  const runs = finished.tables.workflowRuns;
  const ended = builder
    .select({
      at: sql`${runs.completedAt}`.as("at"),
      workflowId: runs.workflowId,
      durationMs: sql`max(0, ${runs.completedAt} - ${runs.startedAt})`.as("duration_ms"),
    })
    .from(runs)
    .where(and(isNotNull(runs.startedAt), finishedRuns(finished, statuses, "index")))
    .as("ended");
  const inBucket = builder
    .select({ bucketStart, workflowId: ended.workflowId, durationMs: ended.durationMs })
    .from(inBuckets(ended, options));
  return groupDurations(inBucket, keys, sql`count(*) as runs`);
}

/** To sort the runs of one bucket after another takes a fourth of the time of sorting all. */
function sortSpans(
  { tables, workflowId, ...filter }: Filter,
  statuses: readonly RunStatus[],
  options: BucketOptions,
): SQL {
  const runs = tables.workflowRuns;
  const distinct = JSON.stringify([...new Set(statuses)]);
  const tookMs = sql`${runs.completedAt} - ${runs.startedAt}`;
  const spans = spansOf(
    "ended",
    {
      query: sql`select workflow_id, value as status
        from (${knownWorkflows(runs, workflowId)}), json_each(${distinct})`,
      keys: ["workflow_id", "status"],
      time: runs.completedAt,
      ofGroup: sql`${runs.workflowId} = spans.workflow_id and ${runs.status} = spans.status`,
      window: filter,
      figures: (inSpan) => {
        const where = and(inSpan, isNotNull(runs.startedAt), withDetails(runs, filter));
        return sorted(sql`select ${tookMs} as value from ${runs} where ${where}`);
      },
    },
    options,
  );
  return sql`with recursive ${spans} ${mergeSorted(sql`ended`, keys, "runs")}`;
}
