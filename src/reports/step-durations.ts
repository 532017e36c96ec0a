import { and, getTableColumns, inArray, isNotNull, sql, type SQL } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { stepStatusSchema } from "../schema/zod.ts";
import type { StepStatus } from "../statuses.ts";
import { integer, text } from "../schema/columns.ts";
import { hasNoDetails, listOf } from "./query/conditions.ts";
import {
  durationColumns,
  groupDurations,
  namesOf,
  rankIndexed,
  selectGroups,
} from "./query/durations.ts";
import { executionsOfSteps, finishedSteps } from "./query/finished.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import { builder, type ReportDatabase, type ReportQuery } from "./query/query.ts";

export interface StepDurationsOptions extends ReportOptions {
  /** One status, or several. Defaults to COMPLETED. */
  readonly status?: StepStatus | readonly StepStatus[] | undefined;
}

const optionsSchema = z.strictObject({
  ...reportShape,
  status: z.optional(z.union([stepStatusSchema, z.array(stepStatusSchema).check(z.minLength(1))])),
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
  const steps = finished.tables.stepExecutions;
  const ended = and(isNotNull(steps.durationMs), inArray(steps.status, listOf(status)));
  const keys = [row.workflowId, row.stepId];
  const grouped = (only?: "with old rows") => {
    const all = finishedSteps(finished, ended, only);
    const { workflowId, stepId, durationMs } = all;
    const durations = builder.select({ workflowId, stepId, durationMs }).from(all);
    return groupDurations(durations, keys, sql`count(*) as executions`);
  };
  // Each step would look up its run twice.
  if (!hasNoDetails(finished)) return selectGroups(db, finished.tables, row, grouped(), keys);
  const { known, select } = executionsOfSteps(finished, ended);
  const durationsOf = (condition?: SQL) => select(steps.durationMs, condition);
  const ranked = rankIndexed(known, durationsOf, sql`${steps}.rowid`, "executions");
  const names = namesOf(Object.values(getTableColumns(row)));
  const groups = sql`select ${names} from (${ranked}) union all select ${names} from (${grouped("with old rows")})`;
  return selectGroups(db, finished.tables, row, groups, keys);
}
