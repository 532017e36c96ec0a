import { and, eq, inArray, isNotNull, sql, type SQL } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import type { WorkflowTables } from "../schema/tables.ts";
import type { RunStatus } from "../statuses.ts";
import {
  isWindow,
  ofRuns,
  unindexed,
  withDetails,
  within,
  type RunConditions,
  type Window,
} from "./conditions.ts";

/*
 * SQLite cannot know how many rows a window, a workflow or a status has, so the index is chosen here: the one by
 * `completedAt` if there is a window, otherwise the one by workflow if there is a workflow.
 */

interface Finished extends Window, RunConditions {
  readonly tables: WorkflowTables;
}

/**
 * True for the runs of these statuses that have ended in the window.
 *
 * `reads` is "index" if the index by `completedAt` has all columns that the report needs. With "rows", the index by
 * status is used without a window, because fewer rows are looked up.
 */
export function finishedRuns(
  { tables: { workflowRuns: runs }, ...filter }: Finished,
  statuses: readonly RunStatus[],
  reads: "index" | "rows",
): SQL | undefined {
  const byTime = isWindow(filter) || (reads === "index" && filter.workflowId === undefined);
  const indexed = (column: SQLiteColumn) => (byTime ? unindexed(column) : sql`${column}`);
  return and(
    isNotNull(runs.completedAt),
    within(runs.completedAt, filter),
    inArray(indexed(runs.status), statuses),
    filter.workflowId === undefined ? undefined : eq(indexed(runs.workflowId), filter.workflowId),
    withDetails(runs, filter),
  );
}

/**
 * Step executions that have ended in the window, with their runs: `from(outer).crossJoin(inner).where(where)`.
 *
 * SQLite does not reorder a cross join.
 */
export function finishedSteps(
  { tables, ...filter }: Finished,
  condition: SQL | undefined,
): { readonly outer: SQLiteTable; readonly inner: SQLiteTable; readonly where: SQL | undefined } {
  const { workflowRuns: runs, stepExecutions: steps } = tables;
  const byWorkflow = filter.workflowId !== undefined && !isWindow(filter);
  const [outer, inner] = byWorkflow ? [runs, steps] : [steps, runs];
  return {
    outer,
    inner,
    where: and(
      eq(runs.runId, steps.runId),
      isNotNull(steps.completedAt),
      within(steps.completedAt, filter),
      ofRuns(runs, filter),
      condition,
    ),
  };
}
