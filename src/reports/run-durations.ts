import { and, count, inArray, isNotNull, sql, type SQL } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { runStatusSchema } from "../schema/zod.ts";
import type { RunStatus } from "../statuses.ts";
import { integer, text } from "../schema/columns.ts";
import { hasNoDetails, isWindow, listOf, unindexed } from "./query/conditions.ts";
import { durationColumns, groupCounts, rankIndexed, selectGroups } from "./query/durations.ts";
import { finishedRuns } from "./query/finished.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import { builder, type ReportDatabase, type ReportQuery } from "./query/query.ts";
import { knownWorkflows, ofKnownWorkflow } from "./query/runs-by-workflow.ts";

export interface RunDurationsOptions extends ReportOptions {
  /** One status, or several. Defaults to COMPLETED. */
  readonly status?: RunStatus | readonly RunStatus[] | undefined;
}

export const runDurationsShape = {
  ...reportShape,
  status: z.optional(z.union([runStatusSchema, z.array(runStatusSchema).check(z.minLength(1))])),
};
const optionsSchema = z.strictObject(runDurationsShape);

const columns = {
  workflowId: text("workflow_id").notNull(),
  runs: integer("runs").notNull(),
  ...durationColumns(),
};
const row: ReturnType<typeof sqliteTable<"run_durations", typeof columns>> = sqliteTable(
  "run_durations",
  columns,
);

/** A row of `runDurations`. */
export type RunDurationsRow = typeof row.$inferSelect;

/**
 * The durations of the runs of each workflow, from `startedAt` to `completedAt`. One row per workflow with such runs.
 *
 * The window applies to `completedAt`. Percentiles use the nearest rank. Ordered by `workflowId`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function runDurations<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<RunDurationsOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const { status = "COMPLETED", ...finished } = parseReport(optionsSchema, db, options);
  const runs = finished.tables.workflowRuns;
  const tookMs = sql`${runs.completedAt} - ${runs.startedAt}`;
  const keys = [row.workflowId];
  if (!isWindow(finished) && hasNoDetails(finished)) {
    const isOf = inArray(runs.status, listOf(status));
    const durationsOf = (condition?: SQL) => ofKnownWorkflow(runs, tookMs, and(condition, isOf));
    const known = knownWorkflows(runs, finished.workflowId);
    const ranked = rankIndexed(known, durationsOf, sql`${runs}.rowid`, "runs");
    return selectGroups(db, finished.tables, row, ranked, keys);
  }
  const durationMs = sql`max(0, ${tookMs})`;
  const isEnded = and(isNotNull(runs.startedAt), finishedRuns(finished, listOf(status), "index"));
  const counted = builder
    .select({
      workflowId: runs.workflowId,
      durationMs: durationMs.as("duration_ms"),
      times: count().as("times"),
    })
    .from(runs)
    .where(isEnded)
    .groupBy(unindexed(runs.workflowId), durationMs);
  return selectGroups(db, finished.tables, row, groupCounts(counted, keys, "runs"), keys);
}
