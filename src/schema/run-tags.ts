import { sql, type SQL } from "drizzle-orm";
import type { WorkflowRunsTable } from "./workflow-runs.ts";

/**
 * True if the run's tags have every pair of `wanted`, a JSON object.
 *
 * Tags that are not JSON match everything, so that the row is read and reported as corrupt. CASE protects json_each from
 * them, which would fail the whole query.
 */
export function hasTags(runs: Pick<WorkflowRunsTable, "tags">, wanted: SQL): SQL {
  return sql`case when ${runs.tags} is null then 0 when not json_valid(${runs.tags}) then 1 else not exists (
    select 1 from json_each(${wanted}) as wanted where not exists (
      select 1 from json_each(${runs.tags}) as present
      where present.key = wanted.key and present.value = wanted.value)) end`;
}
