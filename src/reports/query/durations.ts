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

const percents = { p50_ms: 50, p90_ms: 90, p95_ms: 95, p99_ms: 99, max_ms: 100 };

/** The columns of the percentiles by nearest rank. SQLite has no function for them. */
function percentiles(ofPercent: (percent: SQL) => SQL): SQL {
  const columns = Object.entries(percents).map(
    ([name, percent]) => sql`${ofPercent(sql.raw(String(percent)))} as ${sql.identifier(name)}`,
  );
  return sql.join(columns, sql`, `);
}

function listOf(keys: readonly SQLiteColumn[]): SQL {
  return sql.join(keys.map(nameOf), sql`, `);
}

/** The column of the same name in a subquery. */
function nameOf(column: SQLiteColumn): SQL {
  return sql`${sql.identifier(column.name)}`;
}

/**
 * Groups `counted` by `keys`, with their percentiles and, as `number`, the number of durations. The rows of `counted` have
 * the keys, a `duration_ms`, and in `times` how often it occurs. Good for few groups, where most durations occur often.
 */
export function groupCounts(counted: SQLWrapper, keys: readonly SQLiteColumn[], number: string) {
  const group = sql`partition by ${listOf(keys)}`;
  return sql`select ${listOf(keys)}, sum(times) as ${sql.identifier(number)}, ${percentiles(firstAbove)}
    from (select *, sum(times) over (${group} order by duration_ms) as up_to,
      sum(times) over (${group}) as total from (${counted.getSQL()}))
    group by ${listOf(keys)}`;
}

/**
 * Groups `events` by `keys`, with their percentiles and `figures`. The rows of `events` have the keys, a `duration_ms` or
 * null, and what `figures` need. For many groups, this takes a third of the time of `groupCounts`.
 */
export function groupDurations(
  events: SQLWrapper,
  keys: readonly SQLiteColumn[],
  figures: SQL,
): SQL {
  return withPercentiles(sql`select ${listOf(keys)}, ${figures},
    nullif(count(duration_ms), 0) as times,
    json_group_array(duration_ms) filter (where duration_ms is not null) as durations
    from (${events.getSQL()} order by ${listOf(keys)}, duration_ms limit -1 offset 0)
    group by ${listOf(keys)}`);
}

/** Adds the percentiles to groups with `durations`, a JSON array in order, and their number in `times`, or null. */
export function withPercentiles(groups: SQL): SQL {
  return sql`select *, ${percentiles(inOrder)} from (${groups})`;
}

const firstAbove = (percent: SQL) =>
  sql`min(case when up_to * 100 >= total * ${percent} then duration_ms end)`;
const inOrder = (percent: SQL) => sql`durations ->> ((times * ${percent} + 99) / 100 - 1)`;

/** The report whose columns have the same names in `groups`. */
export function selectGroups<Row extends SQLiteTable, Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  tables: WorkflowTables,
  row: Row,
  groups: SQL,
  order: readonly SQLiteColumn[],
): ReportQuery<Row, Mode, RunResult> {
  const columns: Record<string, SQLiteColumn> = getTableColumns(row);
  const values = Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [name, nameOf(column)]),
  ) as { [Name in keyof Row["_"]["columns"]]: Expression };
  const report = builder.select(rowOf(row, values)).from(sql`(${groups}) groups`);
  return selectReport(db, tables, row, report, ...order);
}
