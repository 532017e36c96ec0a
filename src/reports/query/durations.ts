import { getTableColumns, sql, type SQL, type SQLWrapper } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { integer } from "../../schema/columns.ts";
import type { WorkflowTables } from "../../schema/tables.ts";
import {
  builder,
  rowOf,
  selectReport,
  type Expression,
  type ReportDatabase,
  type ReportQuery,
} from "./query.ts";

/** The columns of a report on durations, in milliseconds. */
export const durationColumns = () => ({
  p50Ms: integer("p50_ms").notNull(),
  p90Ms: integer("p90_ms").notNull(),
  p95Ms: integer("p95_ms").notNull(),
  p99Ms: integer("p99_ms").notNull(),
  maxMs: integer("max_ms").notNull(),
});

/**
 * The source of a query for `percentiles`, grouped by `keys`. The rows of `counted` have these keys, a `duration_ms`, and
 * in `times` how often it occurs. Ranking each duration by itself takes twice as long.
 */
export function rankedDurations(counted: SQLWrapper, keys: readonly SQLiteColumn[]): SQL {
  const group = sql`partition by ${sql.join(keys.map(nameOf), sql`, `)}`;
  return sql`(select *, sum(times) over (${group} order by duration_ms) as up_to,
    sum(times) over (${group}) as total from (${counted})) ranked`;
}

/** The column of the same name in a subquery. */
export function nameOf(column: SQLiteColumn): SQL {
  return sql`${sql.identifier(column.name)}`;
}

/**
 * The percentiles of the durations of a group by nearest rank: the shortest duration that at least `percent` of all do
 * not exceed. SQLite has no function for it.
 */
export const percentiles = {
  p50Ms: percentile(50),
  p90Ms: percentile(90),
  p95Ms: percentile(95),
  p99Ms: percentile(99),
  maxMs: sql`max(duration_ms)`,
} satisfies Record<string, SQL>;

function percentile(percent: number): SQL {
  return sql`min(case when up_to * 100 >= total * ${sql.raw(String(percent))} then duration_ms end)`;
}

/**
 * A report on `counted` durations, as in `rankedDurations`: one row per combination of `keys`, in their order. The column
 * that is neither a key nor a percentile is the number of durations.
 */
export function selectPercentiles<
  Row extends SQLiteTable,
  Mode extends "sync" | "async",
  RunResult,
>(
  db: ReportDatabase<Mode, RunResult>,
  tables: WorkflowTables,
  row: Row,
  counted: SQLWrapper,
  keys: readonly SQLiteColumn[],
): ReportQuery<Row, Mode, RunResult> {
  const columns: Record<string, SQLiteColumn> = getTableColumns(row);
  const figures: Partial<Record<string, SQL>> = percentiles;
  const values = Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [
      name,
      keys.includes(column) ? nameOf(column) : (figures[name] ?? sql`sum(times)`),
    ]),
  ) as { [Name in keyof Row["_"]["columns"]]: Expression };
  const report = builder
    .select(rowOf(row, values))
    .from(rankedDurations(counted, keys))
    .groupBy(...keys.map(nameOf));
  return selectReport(db, tables, row, report, ...keys);
}
