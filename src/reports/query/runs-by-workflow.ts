import { and, sql, type SQL } from "drizzle-orm";
import type { WorkflowRunsTable } from "../../schema/workflow-runs.ts";

/** The ids of workflows with runs. Each is one search of an index, while `distinct` would read the index. */
export function knownWorkflows(runs: WorkflowRunsTable, workflowId: string | undefined): SQL {
  if (workflowId !== undefined) return sql`select ${workflowId} as workflow_id`;
  const first = sql`select min(${runs.workflowId}) from ${runs}`;
  return sql`with recursive ids (workflow_id) as (
    ${first} union all
    select (${first} where ${runs.workflowId} > ids.workflow_id) from ids where workflow_id is not null
  ) select workflow_id from ids where workflow_id is not null`;
}

/**
 * Selects the durations of the runs of the workflow in `known`. With the limit, SQLite calculates a duration once for all its
 * uses.
 */
export function ofKnownWorkflow(
  runs: WorkflowRunsTable,
  durationMs: SQL,
  condition: SQL | undefined,
): SQL {
  const where = and(condition, sql`${runs.workflowId} = known.workflow_id`);
  return sql`select ${durationMs} as duration_ms from ${runs} where ${where} limit -1 offset 0`;
}
