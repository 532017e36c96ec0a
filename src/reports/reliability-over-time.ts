import { and, inArray, sql } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { text } from "../schema/columns.ts";
import {
  bucketColumns,
  bucketShape,
  bucketStart,
  inBuckets,
  type BucketOptions,
} from "./query/buckets.ts";
import { hasNoDetails } from "./query/conditions.ts";
import { selectGroups } from "./query/durations.ts";
import { executionsOfSteps, finishedSteps } from "./query/finished.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import { reliabilityColumns, reliabilityOf } from "./query/reliability.ts";
import { builder, rowOf, type ReportDatabase, type ReportQuery } from "./query/query.ts";
import { spansOf } from "./query/spans.ts";

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
  const steps = finished.tables.stepExecutions;
  const keys = [row.bucketStart, row.workflowId];
  const isExecution = inArray(steps.status, ["COMPLETED", "FAILED"]);
  const byRow = (only?: "with old rows") => {
    const found = finishedSteps(finished, isExecution, only);
    const { workflowId, status, attempt } = found;
    const ended = builder
      .select({ at: sql`${found.completedAt}`.as("at"), workflowId, status, attempt })
      .from(found)
      .as("ended");
    return builder
      .select(rowOf(row, { bucketStart, workflowId: ended.workflowId, ...reliabilityOf(ended) }))
      .from(inBuckets(ended, { per, zone }))
      .groupBy(bucketStart, sql`${ended.workflowId}`)
      .getSQL();
  };
  // Each step looks up its run.
  if (!hasNoDetails(finished)) return selectGroups(db, finished.tables, row, byRow(), keys);
  const { executions, failed, retried, retries } = reliabilityOf(steps);
  const counts = spansOf(
    "counts",
    {
      query: executionsOfSteps(finished, undefined).known,
      keys: ["workflow_id", "step_id"],
      time: steps.completedAt,
      ofGroup: sql`${steps.workflowId} = spans.workflow_id and ${steps.stepId} = spans.step_id`,
      window: finished,
      figures: (inSpan) =>
        sql`select json_array(${executions}, ${failed}, ${retried}, ${retries}) from ${steps} where ${and(inSpan, isExecution)}`,
    },
    { per, zone },
  );
  const bySpan = sql`with recursive ${counts}, sums as (
      select bucket_start, workflow_id, sum(figures ->> 0) as executions, sum(figures ->> 1) as failed,
        sum(figures ->> 2) as retried, cast(total(figures ->> 3) as integer) as retries
      from counts group by bucket_start, workflow_id
    ) select bucket_start, workflow_id, executions, failed, 1.0 * failed / executions as failure_rate, retried, retries
    from sums where executions > 0`;
  const groups = sql`select * from (${bySpan}) union all ${byRow("with old rows")}`;
  return selectGroups(db, finished.tables, row, groups, keys);
}
