import { desc, isNotNull } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { stepStatuses } from "../statuses.ts";
import { integer, oneOf, text, time } from "../schema/columns.ts";
import { finishedSteps } from "./query/finished.ts";
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
  runId: text("run_id").notNull(),
  stepId: text("step_id").notNull(),
  workflowId: text("workflow_id").notNull(),
  status: oneOf("status", stepStatuses).notNull(),
  attempt: integer("attempt").notNull(),
  durationMs: integer("duration_ms").notNull(),
  completedAt: time("completed_at").notNull(),
};
const row: ReturnType<typeof sqliteTable<"slowest_steps", typeof columns>> = sqliteTable(
  "slowest_steps",
  columns,
);

/** A row of `slowestSteps`. */
export type SlowestStepsRow = typeof row.$inferSelect;

/**
 * The step executions that have ended, slowest first. One row per execution. Add `limit` to get a page.
 *
 * The window applies to the step's `completedAt`. Ordered by `durationMs` descending, then `runId`, `stepId`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function slowestSteps<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<ReportOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const finished = parseReport(optionsSchema, db, options);
  const ended = finishedSteps(finished, isNotNull(finished.tables.stepExecutions.durationMs));
  const { runId, stepId, workflowId, status, attempt, durationMs, completedAt } = ended;
  const report = builder
    .select(rowOf(row, { runId, stepId, workflowId, status, attempt, durationMs, completedAt }))
    .from(ended);
  return selectReport(
    db,
    finished.tables,
    row,
    report,
    desc(row.durationMs),
    row.runId,
    row.stepId,
  );
}
