import { inArray, sql, sum } from "drizzle-orm";
import { sqliteTable, unionAll } from "drizzle-orm/sqlite-core";
import * as z from "zod";
import { text } from "../schema/columns.ts";
import { isWindow } from "./query/conditions.ts";
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
  const counted = (rows?: "with workflow" | "without workflow") => {
    const { status } = finished.tables.stepExecutions;
    const ended = finishedSteps(finished, inArray(status, ["COMPLETED", "FAILED"]), rows);
    const { workflowId, stepId } = ended;
    const figures = rowOf(row, { workflowId, stepId, ...reliabilityOf(ended) });
    return builder
      .select(figures)
      .from(ended)
      .groupBy(sql`${workflowId}`, stepId);
  };
  if (isWindow(finished)) {
    return selectReport(db, finished.tables, row, counted(), row.workflowId, row.stepId);
  }
  // SQLite groups the rows of the first part in the order of the index. A sort takes four times as long.
  const parts = unionAll(counted("with workflow"), counted("without workflow")).as("parts");
  const report = builder
    .select(
      rowOf(row, {
        workflowId: parts.workflowId,
        stepId: parts.stepId,
        executions: sum(parts.executions),
        failed: sum(parts.failed),
        failureRate: sql`1.0 * sum(${parts.failed}) / sum(${parts.executions})`,
        retried: sum(parts.retried),
        retries: sql`cast(total(${parts.retries}) as integer)`,
      }),
    )
    .from(parts)
    .groupBy(sql`${parts.workflowId}`, sql`${parts.stepId}`);
  return selectReport(db, finished.tables, row, report, row.workflowId, row.stepId);
}
