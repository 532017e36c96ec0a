import { and, asc, count, desc, eq, getTableColumns, inArray, sql, type SQL } from "drizzle-orm";
import { unionAll } from "drizzle-orm/sqlite-core";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import { jsonRunColumns } from "../../../schema/rows.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { runStatuses, type RunStatus } from "../../../statuses.ts";
import {
  childBytes,
  inlineDetails,
  jsonBytes,
  limitTo,
  pick,
  placesOf,
  withinPage,
} from "./fragments.ts";
import {
  beyond,
  filterConditions,
  filterKey,
  type FilterArgument,
  type FilterShape,
} from "./run-filters.ts";
import { summaryProperties, type RunProperty } from "./runs.ts";
import {
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

export interface ListShape extends FilterShape {
  readonly properties: readonly RunProperty[];
  readonly order: "newest first" | "oldest first";
  /** True when the page continues another one. */
  readonly continued: boolean;
}

export type ListArgument = FilterArgument | "afterCreatedAt" | "afterRunId" | "limit";

export function createListStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const runs = tables.workflowRuns;

  /** What makes a query one of the page that the shape describes. */
  function pageClauses(
    target: Database,
    argument: ArgumentReference<ListArgument>,
    shape: Omit<ListShape, "properties">,
  ) {
    const direction = shape.order === "newest first" ? desc : asc;
    const order = [runs.createdAt, runs.runId].map((column) =>
      direction(shape.runIds ? sql`+${column}` : column),
    );
    const limit = limitTo(argument("limit"));
    const where = (statuses: readonly RunStatus[] | null) =>
      and(
        filterConditions(runs, shape, statuses, argument),
        shape.continued ? beyond(runs, shape.order, argument) : undefined,
      );
    const keysWith = (status: RunStatus) => {
      const keys = target
        .select({ runId: runs.runId, createdAt: runs.createdAt })
        .from(runs)
        .where(where([status]))
        .orderBy(...order)
        .limit(limit)
        .as("keys");
      return target.select({ runId: keys.runId, createdAt: keys.createdAt }).from(keys);
    };
    const [first, second, ...others] = statusesToMerge(shape);
    const merged =
      first === undefined || second === undefined
        ? where(shape.statuses)
        : inArray(
            runs.runId,
            mergedKeys(
              unionAll(keysWith(first), keysWith(second), ...others.map(keysWith)),
              shape,
              argument,
            ),
          );
    return { where: merged, order, limit };
  }

  return {
    /** Rows of the shape's properties, as `withinPage` cuts and marks them. */
    list: statementFamily(listKey, (shape: ListShape) =>
      defineStatement(db, (target, argument: ArgumentReference<ListArgument>) => {
        const bytes = jsonBytes(
          jsonRunColumns
            .filter((name) => shape.properties.includes(name))
            .map((name) => runs[name]),
        );
        const { where, order, limit } = pageClauses(target, argument, shape);
        const page = target
          .select({ runId: runs.runId, createdAt: runs.createdAt, bytes: bytes.as("bytes") })
          .from(runs)
          .where(where)
          .orderBy(...order)
          .limit(limit)
          .as("page");
        const direction = shape.order === "newest first" ? desc : asc;
        const placed = target
          .select({
            runId: page.runId,
            ...placesOf(page.bytes, [direction(page.createdAt), direction(page.runId)]),
          })
          .from(page)
          .as("placed");
        return target
          .select({ ...pick(runs, shape.properties), place: placed.place, found: placed.found })
          .from(placed)
          .crossJoin(runs)
          .where(and(eq(runs.runId, placed.runId), withinPage(placed)));
      }),
    ),

    /** Run id, time and size of whole runs, oldest first: what the pages of bundles are made by. */
    sizes: statementFamily(listKey, (shape: Omit<ListShape, "properties">) =>
      defineStatement(db, (target, argument: ArgumentReference<ListArgument>) => {
        const { where, order, limit } = pageClauses(target, argument, shape);
        const { stepExecutions, stepAttempts, stepOutputs, workflowState } = tables;
        const children = [stepExecutions, stepAttempts, stepOutputs, workflowState].map(
          (table) =>
            sql`(select coalesce(sum(${childBytes(getTableColumns(table))}), 0) from ${table} where ${table.runId} = ${runs.runId})`,
        );
        const own = jsonBytes(jsonRunColumns.map((name) => runs[name]));
        return target
          .select({
            runId: runs.runId,
            createdAt: runs.createdAt,
            bytes: sql<number>`${sql.join([own, ...children], sql` + `)}`,
          })
          .from(runs)
          .where(where)
          .orderBy(...order)
          .limit(limit);
      }),
    ),

    /**
     * Rows of `summaryProperties`, newest first; a last cell tells the bytes of `error` and `tags`, which come
     * with it when they are small. Adding those up in SQL would cost as much as the rows themselves.
     */
    summaries: statementFamily(listKey, (shape: Omit<ListShape, "properties">) =>
      defineStatement(db, (target, argument: ArgumentReference<ListArgument>) => {
        const { where, order, limit } = pageClauses(target, argument, shape);
        return target
          .select({ ...pick(runs, summaryProperties(codecs)), ...inlineDetails(tables) })
          .from(runs)
          .where(where)
          .orderBy(...order)
          .limit(limit);
      }),
    ),

    /** Status and count of runs. */
    count: statementFamily(filterKey, (shape: FilterShape) =>
      defineStatement(db, (target, argument: ArgumentReference<FilterArgument>) =>
        target
          .select({ status: runs.status, runs: count() })
          .from(runs)
          .where(filterConditions(runs, shape, shape.statuses, argument))
          .groupBy(runs.status),
      ),
    ),
  };
}

function listKey(shape: Omit<ListShape, "properties"> & Partial<ListShape>): string {
  return `${filterKey(shape)}/${shape.order}/${shape.continued}/${shape.properties?.length}`;
}

/**
 * The statuses to walk one by one, merging the first rows of each.
 *
 * The indexes by status and by workflow are ordered by time only within one status. Walking them status by
 * status reads `limit` rows of each, where sorting would read all.
 */
function statusesToMerge(shape: FilterShape): readonly RunStatus[] {
  if (shape.resourceId || shape.runIds) return [];
  return shape.statuses ?? (shape.workflowId ? runStatuses : []);
}

function mergedKeys(
  keys: SQL | { getSQL(): SQL },
  shape: Pick<ListShape, "order">,
  argument: ArgumentReference<"limit">,
): SQL {
  const order = shape.order === "newest first" ? sql`2 desc, 1 desc` : sql`2, 1`;
  return sql`(select run_id from (select * from (${keys}) order by ${order} limit ${argument("limit")}))`;
}
