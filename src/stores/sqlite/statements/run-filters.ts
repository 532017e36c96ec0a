import { and, eq, gte, inArray, lt, sql, type SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { ParsedRunFilter } from "../../../model/run-queries.ts";
import type { PositionCell, StoredPosition } from "../../../model/cursors.ts";
import type { Cell } from "../../../schema/row-codec.ts";
import type { WorkflowRunsTable } from "../../../schema/workflow-runs.ts";
import type { RunStatus } from "../../../statuses.ts";
import { listOf } from "./fragments.ts";
import type { Argument, ArgumentReference } from "./statement.ts";

/** Which conditions a filter has: what decides the text of its query. The values are arguments. */
export interface FilterShape {
  readonly statuses: readonly RunStatus[] | null;
  readonly workflowId: boolean;
  readonly resourceId: boolean;
  readonly tags: boolean;
  readonly createdAfter: boolean;
  readonly createdBefore: boolean;
  readonly runIds: boolean;
}

export type FilterArgument =
  | "workflowId"
  | "resourceId"
  | "tags"
  | "createdAfter"
  | "createdBefore"
  | "runIds";

export function filterShape(filter: ParsedRunFilter): FilterShape {
  return {
    statuses: filter.statuses,
    workflowId: filter.workflowId !== null,
    resourceId: filter.resourceId !== null,
    tags: filter.tags !== null,
    createdAfter: filter.createdAfter !== null,
    createdBefore: filter.createdBefore !== null,
    runIds: filter.runIds !== null,
  };
}

export function filterKey(shape: FilterShape): string {
  return JSON.stringify([
    shape.statuses,
    shape.workflowId,
    shape.resourceId,
    shape.tags,
    shape.createdAfter,
    shape.createdBefore,
    shape.runIds,
  ]);
}

export function filterArguments(filter: ParsedRunFilter): Record<FilterArgument, Cell> {
  return {
    workflowId: filter.workflowId,
    resourceId: filter.resourceId,
    tags: filter.tags === null ? null : JSON.stringify(filter.tags),
    createdAfter: filter.createdAfter?.getTime() ?? null,
    createdBefore: filter.createdBefore?.getTime() ?? null,
    runIds: filter.runIds && JSON.stringify(filter.runIds),
  };
}

/**
 * The filter's conditions, but with these statuses: a query may take them one by one.
 *
 * Named runs are looked up by their ids, and those of a resource by its index. The unary plus keeps SQLite from the
 * index of another condition, in which it would read every run of a workflow to find the few of a resource.
 */
export function filterConditions(
  runs: WorkflowRunsTable,
  shape: FilterShape,
  statuses: readonly RunStatus[] | null,
  argument: ArgumentReference<FilterArgument>,
): SQL | undefined {
  const mayUseIndex = !shape.runIds;
  const indexed = (column: SQLiteColumn, mayUse = mayUseIndex): SQL =>
    mayUse ? sql`${column}` : sql`+${column}`;
  const unlessOfResource = mayUseIndex && !shape.resourceId;
  const workflowId = indexed(runs.workflowId, unlessOfResource);
  return and(
    shape.workflowId ? eq(workflowId, argument("workflowId")) : undefined,
    statusIn(indexed(runs.status, unlessOfResource), statuses),
    shape.resourceId ? eq(indexed(runs.resourceId), argument("resourceId")) : undefined,
    shape.createdAfter ? gte(indexed(runs.createdAt), argument("createdAfter")) : undefined,
    shape.createdBefore ? lt(indexed(runs.createdAt), argument("createdBefore")) : undefined,
    shape.tags ? hasTags(runs, argument("tags")) : undefined,
    shape.runIds ? inArray(runs.runId, listOf(argument("runIds"))) : undefined,
  );
}

function statusIn(status: SQL, statuses: readonly RunStatus[] | null): SQL | undefined {
  const [only, ...others] = statuses ?? [];
  if (only === undefined) return undefined;
  return others.length === 0 ? eq(status, only) : inArray(status, [only, ...others]);
}

/**
 * Every pair of `wanted` (a JSON object) is among the run's tags.
 *
 * Tags that are not JSON match everything: the row is then read, found corrupt and named, not skipped. CASE
 * keeps json_each away from them; it would fail the whole query.
 */
function hasTags(runs: WorkflowRunsTable, wanted: SQL): SQL {
  return sql`case when ${runs.tags} is null then 0 when not json_valid(${runs.tags}) then 1 else not exists (
    select 1 from json_each(${wanted}) as wanted where not exists (
      select 1 from json_each(${runs.tags}) as present
      where present.key = wanted.key and present.value = wanted.value)) end`;
}

/** Rows before or after a position, in the order of lists. Row values use the whole index. */
export function beyond(
  runs: WorkflowRunsTable,
  order: "newest first" | "oldest first",
  argument: ArgumentReference<"afterCreatedAt" | "afterRunId">,
): SQL {
  const position = sql`(${argument("afterCreatedAt")}, ${argument("afterRunId")})`;
  const row = sql`(${runs.createdAt}, ${runs.runId})`;
  return order === "newest first" ? sql`${row} < ${position}` : sql`${row} > ${position}`;
}

/** The position of a row that was read as cells of `properties`, whatever its cells are. */
export function positionOf(properties: readonly string[], row: readonly unknown[]): StoredPosition {
  const cellOf = (name: keyof StoredPosition) => positionCell(row[properties.indexOf(name)]);
  return { createdAt: cellOf("createdAt"), runId: cellOf("runId") };
}

/** A cell of a key, as a statement takes it. */
export function positionCell(cell: unknown): PositionCell {
  if (typeof cell === "string" || cell instanceof Uint8Array) return cell;
  if (cell instanceof ArrayBuffer) return new Uint8Array(cell);
  if (Number.isFinite(cell)) return cell as number;
  // No parameter can be infinite. SQLite reads this text as a number where it is compared with one.
  return cell === -Infinity ? "-9e999" : "9e999";
}

export function positionArguments(
  after: StoredPosition | null,
): Record<"afterCreatedAt" | "afterRunId", Argument> {
  return { afterCreatedAt: after?.createdAt ?? null, afterRunId: after?.runId ?? null };
}
