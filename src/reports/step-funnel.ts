import { and, count, eq, inArray, min, sql, type SQL } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod";
import { integer, text } from "../schema/columns.ts";
import type { StepStatus } from "../statuses.ts";
import { ofRuns, unindexed, within } from "./query/conditions.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import {
  builder,
  rowOf,
  selectReport,
  type ReportDatabase,
  type ReportQuery,
} from "./query/query.ts";

const optionsSchema = z.strictObject(reportShape);

const columns = {
  workflowId: text("workflow_id").notNull(),
  stepId: text("step_id").notNull(),
  position: integer("position").notNull(),
  reached: integer("reached").notNull(),
  completed: integer("completed").notNull(),
  skipped: integer("skipped").notNull(),
  failed: integer("failed").notNull(),
  stopped: integer("stopped").notNull(),
};
const row: ReturnType<typeof sqliteTable<"step_funnel", typeof columns>> = sqliteTable(
  "step_funnel",
  columns,
);

export type StepFunnelRow = typeof row.$inferSelect;

/**
 * Where the runs of each workflow stop. One row per step that a run has reached.
 *
 * `position` is the lowest `executionIndex` of the step. `reached` counts the runs that have begun it, and `completed`,
 * `skipped` and `failed` those by its status. `stopped` counts the runs that are FAILED or CANCELLED and whose step is
 * neither COMPLETED nor SKIPPED. The window applies to the run's `createdAt`. Ordered by `workflowId`, `position`,
 * `stepId`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function stepFunnel<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<ReportOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const { tables, ...filter } = parseReport(optionsSchema, db, options);
  const { workflowRuns: runs, stepExecutions: steps } = tables;
  const having = (...statuses: StepStatus[]): SQL => sql`sum(${inArray(steps.status, statuses)})`;
  const report = builder
    .select(
      rowOf(row, {
        workflowId: runs.workflowId,
        stepId: steps.stepId,
        position: min(steps.executionIndex),
        reached: count(),
        completed: having("COMPLETED"),
        skipped: having("SKIPPED"),
        failed: having("FAILED"),
        stopped: sql`sum(${inArray(runs.status, ["FAILED", "CANCELLED"])}
          and not ${inArray(steps.status, ["COMPLETED", "SKIPPED"])})`,
      }),
    )
    // SQLite does not reorder a cross join.
    .from(runs)
    .crossJoin(steps)
    .where(and(eq(steps.runId, runs.runId), ofRuns(runs, filter), within(runs.createdAt, filter)))
    .groupBy(unindexed(runs.workflowId), unindexed(steps.stepId));
  return selectReport(db, tables, row, report, row.workflowId, row.position, row.stepId);
}
