import { and, eq, inArray, sql, type SQL } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { runStatuses, type RunStatus } from "../statuses.ts";
import { integer, text } from "../schema/columns.ts";
import type { WorkflowTables } from "../schema/tables.ts";
import { bucketColumns, bucketShape, withBuckets, type BucketOptions } from "./query/buckets.ts";
import {
  hasNoDetails,
  ofRuns,
  unindexed,
  within,
  type RunConditions,
  type Window,
} from "./query/conditions.ts";
import { selectGroups } from "./query/durations.ts";
import { finishedRuns } from "./query/finished.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import type { ReportDatabase, ReportQuery } from "./query/query.ts";
import { knownWorkflows } from "./query/runs-by-workflow.ts";
import { spansOf } from "./query/spans.ts";

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
  const bySpan = filter.workflowId === undefined && hasNoDetails(filter);
  const counts = (bySpan ? countSpans : countRows)(tables, filter, { per, zone });
  const groups = sql`select bucket_start, workflow_id, sum(created) as created, sum(completed) as completed,
    sum(failed) as failed, sum(cancelled) as cancelled
    from (${counts}) group by bucket_start, workflow_id`;
  return selectGroups(db, tables, row, groups, [row.bucketStart, row.workflowId]);
}

type Filter = Window & RunConditions;

function countRows(tables: WorkflowTables, filter: Filter, options: BucketOptions): SQL {
  const { workflowRuns: runs } = tables;
  const isEnded = finishedRuns({ tables, ...filter }, Object.values(outcomes), "index");
  const isCreated = and(ofRuns(runs, filter), within(runs.createdAt, filter));
  const ended = sql.join(
    Object.values(outcomes).map((status) => eq(runs.status, status)),
    sql`, `,
  );
  return withBuckets(
    sql`select ${runs.createdAt} as at, ${runs.workflowId} as workflow_id, 1 as created, 0 as completed, 0 as failed, 0 as cancelled
        from ${runs} where ${isCreated}
      union all select ${runs.completedAt}, ${runs.workflowId}, 0, ${ended} from ${runs} where ${isEnded}`,
    options,
  );
}

/** Counts created runs in the index by workflow, status and `createdAt`, and ended ones in that by `completedAt`. */
function countSpans(tables: WorkflowTables, window: Filter, options: BucketOptions): SQL {
  const { workflowRuns: runs } = tables;
  const created = spansOf(
    "created",
    {
      query: sql`select workflow_id, value as status
        from (${knownWorkflows(runs, undefined)}), json_each(${JSON.stringify(runStatuses)})`,
      keys: ["workflow_id", "status"],
      time: runs.createdAt,
      ofGroup: sql`${runs.workflowId} = spans.workflow_id and ${runs.status} = spans.status`,
      window,
      figures: (inSpan) => sql`select count(*) from ${runs} where ${inSpan}`,
    },
    options,
  );
  const isOutcome = inArray(unindexed(runs.status), Object.values(outcomes));
  const counts = sql.join(
    Object.values(outcomes).map(
      (status) => sql`count(*) filter (where ${eq(runs.status, status)})`,
    ),
    sql`, `,
  );
  const ended = spansOf(
    "ended",
    {
      query: sql`select 1`,
      keys: [],
      time: runs.completedAt,
      window,
      figures: (inSpan) => sql`select json_group_array(counts) from (
        select json_array(${runs.workflowId}, ${counts}) as counts
        from ${runs} where ${and(inSpan, isOutcome)} group by ${unindexed(runs.workflowId)})`,
    },
    options,
  );
  return sql`with recursive ${created}, ${ended}
    select bucket_start, workflow_id, figures as created, 0 as completed, 0 as failed, 0 as cancelled from created
    union all select bucket_start, value ->> 0, 0, value ->> 1, value ->> 2, value ->> 3 from ended, json_each(figures)`;
}
