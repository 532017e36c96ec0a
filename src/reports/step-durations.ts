import { and, count, inArray, isNotNull } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod";
import { stepStatusSchema } from "../schema/zod.ts";
import type { StepStatus } from "../statuses.ts";
import { integer, text } from "../schema/columns.ts";
import { listOf, unindexed } from "./conditions.ts";
import { durationColumns, selectPercentiles } from "./durations.ts";
import { finishedSteps } from "./finished.ts";
import { parseReport, reportShape, type ReportOptions } from "./options.ts";
import { builder, type ReportDatabase, type ReportQuery } from "./report-query.ts";

export interface StepDurationsOptions extends ReportOptions {
  /** One status, or several. Defaults to COMPLETED. */
  readonly status?: StepStatus | readonly StepStatus[] | undefined;
}

const optionsSchema = z.strictObject({
  ...reportShape,
  status: z.union([stepStatusSchema, z.array(stepStatusSchema).min(1)]).optional(),
});

const columns = {
  workflowId: text("workflow_id").notNull(),
  stepId: text("step_id").notNull(),
  executions: integer("executions").notNull(),
  ...durationColumns(),
};
const row: ReturnType<typeof sqliteTable<"step_durations", typeof columns>> = sqliteTable(
  "step_durations",
  columns,
);

/** A row of `stepDurations`. */
export type StepDurationsRow = typeof row.$inferSelect;

/**
 * The `durationMs` of the steps of each workflow. One row per step with such executions.
 *
 * The window applies to the `completedAt` of the step. Percentiles use the nearest rank. Ordered by `workflowId`, then
 * `stepId`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function stepDurations<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<StepDurationsOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const { status = "COMPLETED", ...finished } = parseReport(optionsSchema, db, options);
  const { workflowRuns: runs, stepExecutions: steps } = finished.tables;
  const { outer, inner, where } = finishedSteps(
    finished,
    and(isNotNull(steps.durationMs), inArray(steps.status, listOf(status))),
  );
  const counted = builder
    .select({
      workflowId: runs.workflowId,
      stepId: steps.stepId,
      durationMs: steps.durationMs,
      times: count().as("times"),
    })
    .from(outer)
    .crossJoin(inner)
    .where(where)
    .groupBy(unindexed(runs.workflowId), unindexed(steps.stepId), steps.durationMs);
  return selectPercentiles(db, finished.tables, row, counted, [row.workflowId, row.stepId]);
}
