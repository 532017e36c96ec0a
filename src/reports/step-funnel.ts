import { and, eq, inArray, isNotNull, isNull, notInArray, sql, type SQL } from "drizzle-orm";
import { sqliteTable, type SQLiteColumn } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { integer, text } from "../schema/columns.ts";
import type { StepExecutionsTable } from "../schema/step-executions.ts";
import type { WorkflowTables } from "../schema/tables.ts";
import type { RunStatus, StepStatus } from "../statuses.ts";
import { hasNoDetails, isWindow, ofRuns, unindexed, within } from "./query/conditions.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import type { ReportDatabase, ReportQuery } from "./query/query.ts";
import { selectGroups } from "./query/durations.ts";

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
  const runs = tables.workflowRuns;
  const isWhole = !isWindow(filter) && hasNoDetails(filter) && filter.workflowId === undefined;
  const counts = isWhole
    ? countAll(tables)
    : [countOf(tables, and(ofRuns(runs, filter), within(runs.createdAt, filter)))];
  const parts = sql.join(counts, sql` union all `);
  const groups = sql`select workflow_id, step_id, min(position) as position, sum(reached) as reached,
    sum(completed) as completed, sum(skipped) as skipped, sum(failed) as failed, sum(stopped) as stopped
    from (${parts}) group by workflow_id, step_id having reached > 0`;
  return selectGroups(db, tables, row, groups, [row.workflowId, row.position, row.stepId]);
}

function countOf(tables: WorkflowTables, filter: SQL | undefined): SQL {
  const { workflowRuns: runs, stepExecutions: steps } = tables;
  // SQLite does not reorder a cross join.
  return sql`select ${runs.workflowId}, ${steps.stepId}, ${countsOf(steps, inArray(runs.status, stopped))}
    from ${runs} cross join ${steps} where ${and(eq(steps.runId, runs.runId), filter)}
    group by ${unindexed(runs.workflowId)}, ${unindexed(steps.stepId)}`;
}

/**
 * An index has all finished steps in the order of the groups, except those of older versions, which lack the id of their
 * workflow. The others are few, and so are those whose run is looked up.
 */
function countAll(tables: WorkflowTables): SQL[] {
  const { workflowRuns: runs, stepExecutions: steps } = tables;
  const ofRun = (column: SQLiteColumn) =>
    sql`(select ${column} from ${runs} where ${eq(runs.runId, steps.runId)})`;
  const isStopped = inArray(ofRun(runs.status), stopped);
  const count = (workflow: SQL, condition: SQL | undefined) =>
    sql`select ${workflow} as workflow_id, ${steps.stepId}, ${countsOf(steps, isStopped)}
      from ${steps} where ${condition} group by ${workflow}, ${steps.stepId}`;
  const workflowId = ofRun(runs.workflowId);
  return [
    count(sql`${steps.workflowId}`, and(isNotNull(steps.completedAt), isNotNull(steps.workflowId))),
    count(workflowId, and(isNotNull(steps.completedAt), isNull(steps.workflowId))),
    count(sql`coalesce(${steps.workflowId}, ${workflowId})`, isNull(steps.completedAt)),
  ];
}

const passed: StepStatus[] = ["COMPLETED", "SKIPPED"];
const stopped: RunStatus[] = ["FAILED", "CANCELLED"];

function countsOf(steps: StepExecutionsTable, isStopped: SQL): SQL {
  const ofStatus = (status: StepStatus) => having(eq(steps.status, status));
  return sql`min(${steps.executionIndex}) as position, count(*) as reached, ${ofStatus("COMPLETED")} as completed,
    ${ofStatus("SKIPPED")} as skipped, ${ofStatus("FAILED")} as failed,
    ${having(and(notInArray(steps.status, passed), isStopped))} as stopped`;
}

function having(condition: SQL | undefined): SQL {
  return sql`count(*) filter (where ${condition})`;
}
