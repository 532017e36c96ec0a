import { and, eq, inArray, isNotNull, isNull, sql, type SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { StepExecutionsTable } from "../../schema/step-executions.ts";
import type { WorkflowTables } from "../../schema/tables.ts";
import type { RunStatus } from "../../statuses.ts";
import {
  isWindow,
  unindexed,
  withDetails,
  within,
  type RunConditions,
  type Window,
} from "./conditions.ts";
import { builder } from "./query.ts";

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
 * The step executions that have ended in the window, with the workflow of their runs.
 *
 * The index begins with the workflow and the step. A window is searched for each step, and the steps are found in the
 * index. A row without the id of its workflow was written by an older version; the run has the id. With `only`, there are
 * no steps unless no row, or some row, is such an old one.
 */
export function finishedSteps(
  { tables, workflowId, ...filter }: Finished,
  condition: SQL | undefined,
  only?: "without old rows" | "with old rows",
) {
  const { workflowRuns: runs, stepExecutions: steps } = tables;
  const ofRun = sql`(select ${runs.workflowId} from ${runs} where ${eq(runs.runId, steps.runId)})`;
  const workflow =
    only === "without old rows"
      ? sql<string | null>`${steps.workflowId}`
      : sql`coalesce(${steps.workflowId}, ${ofRun})`;
  const where = and(
    isFinishedStep({ tables, ...filter }),
    workflowId === undefined ? undefined : sql`${workflow} = ${workflowId}`,
    condition,
  );
  const query = builder.select({
    workflowId: workflow.as("workflow_id"),
    stepId: steps.stepId,
    runId: steps.runId,
    status: steps.status,
    attempt: steps.attempt,
    durationMs: steps.durationMs,
    completedAt: steps.completedAt,
    error: steps.error,
  });
  if (only === "without old rows") {
    return query
      .from(steps)
      .where(and(where, sql`not ${hasOldRows(steps)}`))
      .as("finished");
  }
  const [known, isSearched] = isWindow(filter)
    ? [
        knownSteps(steps, workflowId),
        sql`${steps.workflowId} is known.workflow_id and ${steps.stepId} = known.step_id`,
      ]
    : workflowId === undefined
      ? [sql`select 1`]
      : [knownWorkflows(steps, workflowId), sql`${steps.workflowId} is known.workflow_id`];
  const guard = only && sql` where ${hasOldRows(steps)}`;
  return (
    query
      // SQLite does not reorder a cross join.
      .from(sql`(select * from (${known})${guard}) known`)
      .crossJoin(steps)
      .where(and(isSearched, where))
      .as("finished")
  );
}

function isFinishedStep({ tables, ...filter }: Finished): SQL | undefined {
  const { workflowRuns: runs, stepExecutions: steps } = tables;
  const details = withDetails(runs, filter);
  return and(
    isNotNull(steps.completedAt),
    within(steps.completedAt, filter),
    details &&
      sql`exists (select 1 from ${runs} where ${and(eq(runs.runId, steps.runId), details)})`,
  );
}

function hasOldRows(steps: StepExecutionsTable): SQL {
  return sql`exists (select 1 from ${steps} where ${and(isNotNull(steps.completedAt), isNull(steps.workflowId))})`;
}

/**
 * A query on the finished steps that groups by workflow and step. Without a window, SQLite groups the rows in the order of
 * the index, which takes a third of the time of a sort, unless a row lacks the id of its workflow.
 */
export function groupedSteps<Grouped extends { getSQL(): SQL }>(
  finished: Finished,
  condition: SQL | undefined,
  group: (steps: ReturnType<typeof finishedSteps>) => Grouped,
): SQL {
  if (isWindow(finished)) return group(finishedSteps(finished, condition)).getSQL();
  const inOrder = group(finishedSteps(finished, condition, "without old rows"));
  return sql`${inOrder.getSQL()} union all ${group(finishedSteps(finished, condition, "with old rows")).getSQL()}`;
}

/** The steps in the index, as `known`, if no old row lacks the id of its workflow; and the query on the executions of each. */
export function executionsOfSteps(finished: Finished, condition: SQL | undefined) {
  const steps = finished.tables.stepExecutions;
  const ofStep = sql`${steps.workflowId} = known.workflow_id and ${steps.stepId} = known.step_id`;
  const where = and(ofStep, isFinishedStep(finished), condition);
  return {
    known: sql`select * from (${knownSteps(steps, finished.workflowId)})
      where workflow_id is not null and not ${hasOldRows(steps)} limit -1 offset 0`,
    select: (column: SQLiteColumn, also?: SQL) =>
      sql`select ${column} from ${steps} where ${and(also, where)}`,
  };
}

/** The ids of workflows in the index, and null. Each is one search, while `distinct` would read the index. */
function knownWorkflows(steps: StepExecutionsTable, workflowId: string | undefined): SQL {
  if (workflowId !== undefined)
    return sql`select ${workflowId} as workflow_id union all select null`;
  const first = sql`select min(${steps.workflowId}) from ${steps} where ${isNotNull(steps.completedAt)}`;
  return sql`with recursive ids (workflow_id) as (
    ${first} union all
    select (${first} and ${steps.workflowId} > ids.workflow_id) from ids where workflow_id is not null
  ) select workflow_id from ids`;
}

/**
 * The steps of these workflows in the index. After ANALYZE, SQLite expects so many that it would build an index of its own
 * over all rows, unless it is told that there are few.
 */
function knownSteps(steps: StepExecutionsTable, workflowId: string | undefined): SQL {
  const first = (of: string) => sql`select min(${steps.stepId}) from ${steps}
    where ${isNotNull(steps.completedAt)} and ${steps.workflowId} is ${sql.raw(of)}.workflow_id`;
  return sql`with recursive workflows as (${knownWorkflows(steps, workflowId)}),
    ids (workflow_id, step_id) as (
      select workflow_id, (${first("workflows")}) from workflows union all
      select workflow_id, (${first("ids")} and ${steps.stepId} > ids.step_id) from ids where step_id is not null
    ) select workflow_id, step_id from ids where likelihood(step_id is not null, 0.000001)`;
}
