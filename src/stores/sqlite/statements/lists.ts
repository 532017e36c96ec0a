import { and, asc, count, desc, getTableColumns, inArray, sql } from "drizzle-orm";
import { unionAll } from "drizzle-orm/sqlite-core";
import { orderOf, type ParsedRunQuery } from "../../../model/run-queries.ts";
import { runSummaryProperties, type RowCodecs } from "../../../schema/row-codecs.ts";
import { jsonRunColumns } from "../../../schema/rows.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { runStatuses, type RunStatus } from "../../../statuses.ts";
import { childParts, childTables, inlineDetails, keyOf } from "./fragments.ts";
import { childBytes, jsonBytes, limitTo, pick, selectPage } from "./pages.ts";
import {
  beyond,
  filterConditions,
  filterKey,
  type FilterArgument,
  type FilterShape,
  type ListArgument,
} from "./run-filters.ts";
import type { RunProperty } from "./runs.ts";
import {
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

export interface ListShape {
  readonly query: FilterShape & Pick<ParsedRunQuery, "after" | "isBackward">;
  readonly order: "newest first" | "oldest first";
  readonly properties: readonly RunProperty[];
}

export function createListStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const runs = tables.workflowRuns;

  function pageClauses(
    target: Database,
    argument: ArgumentReference<ListArgument>,
    { query, order }: Omit<ListShape, "properties">,
  ) {
    const direction = order === "newest first" ? desc : asc;
    const orderBy = [runs.createdAt, runs.runId].map((column) =>
      direction(query.runIds === null ? column : sql`+${column}`),
    );
    const whereStatus = (statuses: readonly RunStatus[] | null) =>
      and(
        filterConditions(runs, query, statuses, argument),
        query.after === null ? undefined : beyond(runs, order, argument),
      );
    const keysWith = (status: RunStatus) => {
      const keys = target
        .select({ runId: runs.runId, createdAt: runs.createdAt })
        .from(runs)
        .where(whereStatus([status]))
        .orderBy(...orderBy)
        .limit(limitTo(argument("limit")))
        .as("keys");
      return target.select({ runId: keys.runId, createdAt: keys.createdAt }).from(keys);
    };
    const [first, second, ...others] = statusesToMerge(query);
    if (first === undefined || second === undefined) {
      return { direction, orderBy, where: whereStatus(query.statuses) };
    }
    const keys = unionAll(keysWith(first), keysWith(second), ...others.map(keysWith));
    const merged = sql`select * from (${keys}) order by ${direction(sql`2`)}, ${direction(sql`1`)}`;
    const where = inArray(
      runs.runId,
      sql`(select run_id from (${merged} limit ${limitTo(argument("limit"))}))`,
    );
    return { direction, orderBy, where };
  }

  return {
    /** The page of these properties. */
    list: statementFamily(listKey, (shape: ListShape) =>
      defineStatement(db, (target, argument: ArgumentReference<ListArgument>) =>
        selectPage(target, runs, {
          ...pageClauses(target, argument, shape),
          properties: shape.properties,
          key: [runs.runId],
          order: [runs.createdAt, runs.runId],
          bytes: jsonBytes(Object.values(pick(runs, shape.properties))),
          limit: argument("limit"),
        }),
      ),
    ),

    /** The id, the time and the size of runs with their children, oldest first. */
    sizes: statementFamily(filterListKey, (query: ListShape["query"]) =>
      defineStatement(db, (target, argument: ArgumentReference<ListArgument>) => {
        const clauses = pageClauses(target, argument, { query, order: "oldest first" });
        const children = childParts.map((part) => {
          const table = childTables(tables)[part];
          const bytes = childBytes(Object.values(getTableColumns(table)));
          const { runId } = keyOf(tables, codecs, part);
          return sql`(select coalesce(sum(${bytes}), 0) from ${table} where ${runId} = ${runs.runId})`;
        });
        const own = jsonBytes(jsonRunColumns.map((name) => runs[name]));
        return target
          .select({
            runId: runs.runId,
            createdAt: runs.createdAt,
            bytes: sql<number>`${sql.join([own, ...children], sql` + `)}`,
          })
          .from(runs)
          .where(clauses.where)
          .orderBy(...clauses.orderBy)
          .limit(limitTo(argument("limit")));
      }),
    ),

    /**
     * Rows of `runSummaryProperties`, in the order of the query, and the bytes of `error` and `tags`, which are returned if they are
     * small. To add up the bytes of a page in SQL would cost as much as the rows themselves.
     */
    summaries: statementFamily(filterListKey, (query: ListShape["query"]) =>
      defineStatement(db, (target, argument: ArgumentReference<ListArgument>) => {
        const clauses = pageClauses(target, argument, { query, order: orderOf(query) });
        return target
          .select({ ...pick(runs, runSummaryProperties), ...inlineDetails(tables) })
          .from(runs)
          .where(clauses.where)
          .orderBy(...clauses.orderBy)
          .limit(limitTo(argument("limit")));
      }),
    ),

    /** Statuses, and the number of runs of each. */
    count: statementFamily(filterKey, (filter: FilterShape) =>
      defineStatement(db, (target, argument: ArgumentReference<FilterArgument>) =>
        target
          .select({ status: runs.status, runs: count() })
          .from(runs)
          .where(filterConditions(runs, filter, filter.statuses, argument))
          .groupBy(runs.status),
      ),
    ),
  };
}

function filterListKey({ after, isBackward, ...filter }: ListShape["query"]): string {
  return `${filterKey(filter)}/${after !== null}/${isBackward}`;
}

function listKey({ query, order, properties }: ListShape): string {
  return `${filterListKey(query)}/${order}/${properties.length}`;
}

/**
 * The statuses whose first rows are read separately and merged.
 *
 * The indexes by status and by workflow are ordered by time within one status only. A query per status reads `limit`
 * rows, but sorting would read all rows.
 */
function statusesToMerge({
  resourceId,
  runIds,
  statuses,
  workflowId,
}: FilterShape): readonly RunStatus[] {
  if (resourceId !== null || runIds !== null) return [];
  return statuses ?? (workflowId === null ? [] : runStatuses);
}
