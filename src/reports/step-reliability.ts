import { inArray, sql } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { text } from "../schema/columns.ts";
import { groupedSteps } from "./query/finished.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import { reliabilityColumns, reliabilityOf } from "./query/reliability.ts";
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
  ...reliabilityColumns(),
};
const row: ReturnType<typeof sqliteTable<"step_reliability", typeof columns>> = sqliteTable(
  "step_reliability",
  columns,
);

/** A row of `stepReliability`. */
export type StepReliabilityRow = typeof row.$inferSelect;

/**
 * The failures and retries of the steps of each workflow. One row per step with a COMPLETED or FAILED execution.
 *
 * `failureRate` is `failed / executions`, from 0 to 1. `retried` counts executions with more than one attempt, and
 * `retries` counts the attempts after the first. The window applies to the step's `completedAt`. Ordered by
 * `workflowId`, then `stepId`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function stepReliability<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<ReportOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const finished = parseReport(optionsSchema, db, options);
  const { status } = finished.tables.stepExecutions;
  const ended = inArray(status, ["COMPLETED", "FAILED"]);
  const report = groupedSteps(finished, ended, (found) =>
    builder
      .select(
        rowOf(row, {
          workflowId: found.workflowId,
          stepId: found.stepId,
          ...reliabilityOf(found),
        }),
      )
      .from(found)
      .groupBy(sql`${found.workflowId}`, found.stepId),
  );
  return selectReport(db, finished.tables, row, report, row.workflowId, row.stepId);
}
