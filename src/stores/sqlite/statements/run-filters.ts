import { and, eq, gte, inArray, lt, sql, type SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import { BrokenText } from "../../../broken-text.ts";
import { encodeDecoded } from "../../../json.ts";
import type { ParsedRunFilter, ParsedRunQuery } from "../../../model/run-queries.ts";
import type { PositionCell, StoredPosition } from "../../../model/cursors.ts";
import type { Cell } from "../../../schema/row-codec.ts";
import type { WorkflowRunsTable } from "../../../schema/workflow-runs.ts";
import { hasTags } from "../../../schema/run-tags.ts";
import type { RunStatus } from "../../../statuses.ts";
import { listOf, rowValue } from "./fragments.ts";
import { opaque } from "./pages.ts";
import type { Argument, ArgumentReference } from "./statement.ts";

/** The conditions that a filter has, which determine the text of its query. Values other than null do not matter. */
export type FilterShape = Pick<ParsedRunFilter, "statuses"> & {
  readonly [Name in Exclude<keyof ParsedRunFilter, "statuses">]: unknown;
};

export type FilterArgument = Exclude<keyof ParsedRunFilter, "statuses">;

export function filterKey({ statuses, ...filter }: FilterShape): string {
  const given = Object.entries(filter).filter(([, value]) => value !== null);
  return `${statuses?.join()}/${given.map(([name]) => name).join()}`;
}

export function filterArguments(filter: ParsedRunFilter): Record<FilterArgument, Cell> {
  return {
    workflowId: filter.workflowId,
    resourceId: filter.resourceId,
    tags: filter.tags && encodeDecoded(filter.tags),
    createdAfter: filter.createdAfter?.getTime() ?? null,
    createdBefore: filter.createdBefore?.getTime() ?? null,
    runIds: filter.runIds && JSON.stringify(filter.runIds),
  };
}

/** The arguments of a list. One more row than its limit is read, to know whether the list continues. */
export function listArguments(query: ParsedRunQuery): Record<ListArgument, Argument> {
  return {
    ...filterArguments(query),
    afterCreatedAt: query.after?.createdAt ?? null,
    afterRunId: query.after?.runId ?? null,
    limit: query.limit + 1,
  };
}

export type ListArgument = FilterArgument | "afterCreatedAt" | "afterRunId" | "limit";

/**
 * The conditions of the filter, with other statuses.
 *
 * Named runs are found by their ids, and runs of a resource by its index. The unary plus keeps the other conditions from
 * choosing an index, in which SQLite would read many runs to find a few.
 */
export function filterConditions(
  runs: WorkflowRunsTable,
  shape: FilterShape,
  statuses: readonly RunStatus[] | null,
  argument: ArgumentReference<FilterArgument>,
): SQL | undefined {
  const given = (name: FilterArgument) => shape[name] !== null;
  const own = (column: SQLiteColumn): SQL => (given("runIds") ? sql`+${column}` : sql`${column}`);
  const other = (column: SQLiteColumn): SQL =>
    given("resourceId") ? sql`+${column}` : own(column);
  return and(
    given("workflowId") ? eq(other(runs.workflowId), opaque(argument("workflowId"))) : undefined,
    statusIn(other(runs.status), statuses),
    given("resourceId") ? eq(own(runs.resourceId), opaque(argument("resourceId"))) : undefined,
    given("createdAfter") ? gte(own(runs.createdAt), argument("createdAfter")) : undefined,
    given("createdBefore") ? lt(own(runs.createdAt), argument("createdBefore")) : undefined,
    given("tags") ? hasTags(runs, argument("tags")) : undefined,
    given("runIds") ? inArray(runs.runId, listOf(argument("runIds"))) : undefined,
  );
}

function statusIn(status: SQL, statuses: readonly RunStatus[] | null): SQL | undefined {
  const [only, ...others] = statuses ?? [];
  if (only === undefined) return undefined;
  return others.length === 0
    ? eq(status, opaque(sql`${only}`))
    : inArray(status, [only, ...others]);
}

/** True for the rows after a position, in the order of a list. Row values use the whole index. */
export function beyond(
  runs: WorkflowRunsTable,
  order: "newest first" | "oldest first",
  argument: ArgumentReference<"afterCreatedAt" | "afterRunId">,
): SQL {
  const position = rowValue([cellAt(argument("afterCreatedAt")), cellAt(argument("afterRunId"))]);
  const row = sql`(${runs.createdAt}, ${runs.runId})`;
  return order === "newest first" ? sql`${row} < ${position}` : sql`${row} > ${position}`;
}

/** The position of a row of `properties`, even if its cells cannot be read. */
export function positionOf(properties: readonly string[], row: readonly unknown[]): StoredPosition {
  const cellOf = (name: keyof StoredPosition) => positionCell(row[properties.indexOf(name)]);
  return { createdAt: cellOf("createdAt"), runId: cellOf("runId") };
}

/** The first byte of bytes in a position. */
const blobMark = 0;
const textMark = 1;

/** A cell of a key, as an argument for `cellAt`. */
export function positionCell(cell: unknown): PositionCell {
  if (typeof cell === "string") return cell;
  // A parameter cannot be a text that is not UTF-8.
  if (cell instanceof BrokenText) return marked(textMark, cell);
  if (cell instanceof Uint8Array) return marked(blobMark, cell);
  if (cell instanceof ArrayBuffer) return marked(blobMark, new Uint8Array(cell));
  if (Number.isFinite(cell)) return cell as number;
  // A parameter cannot be infinite. SQLite converts this text when it compares it with a number.
  return cell === -Infinity ? "-9e999" : "9e999";
}

function marked(mark: number, bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(bytes.length + 1);
  result[0] = mark;
  result.set(bytes, 1);
  return result;
}

/** The cell of which `positionCell` made the argument. */
export function cellAt(argument: SQL): SQL {
  const rest = sql`substr(${argument}, 2)`;
  return sql`case substr(${argument}, 1, 1) when x'01' then cast(${rest} as text) when x'00' then ${rest} else ${argument} end`;
}
