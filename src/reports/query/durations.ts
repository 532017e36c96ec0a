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

/** The columns of the same names in a subquery. */
export function namesOf(keys: readonly SQLiteColumn[]): SQL {
  return sql.join(keys.map(nameOf), sql`, `);
}

function nameOf(column: SQLiteColumn): SQL {
  return sql`${sql.identifier(column.name)}`;
}

/**
 * Groups `counted` by `keys`, with their percentiles and, as `number`, the number of durations. The rows of `counted` have
 * the keys, a `duration_ms`, and in `times` how often it occurs. Good for few groups, where most durations occur often.
 */
export function groupCounts(counted: SQLWrapper, keys: readonly SQLiteColumn[], number: string) {
  const group = sql`partition by ${namesOf(keys)}`;
  return sql`select ${namesOf(keys)}, sum(times) as ${sql.identifier(number)}, ${percentiles(firstAbove)}
    from (select *, sum(times) over (${group} order by duration_ms) as up_to,
      sum(times) over (${group}) as total from (${counted.getSQL()}))
    group by ${namesOf(keys)}`;
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
  return withPercentiles(sql`select ${namesOf(keys)}, ${figures},
    nullif(count(duration_ms), 0) as times,
    json_group_array(duration_ms) filter (where duration_ms is not null) as durations
    from (${events.getSQL()} order by ${namesOf(keys)}, duration_ms limit -1 offset 0)
    group by ${namesOf(keys)}`);
}

/**
 * Groups `parts` by `keys`, with their percentiles and, as `number`, the number of their durations. The `figures` of a part
 * are a JSON array of durations in order, of which negative ones count as 0. Only groups of several parts are sorted again.
 */
export function mergeSorted(parts: SQL, keys: readonly SQLiteColumn[], number: string): SQL {
  const merged = sql`select ${namesOf(keys)}, count(*) as number_of_parts, group_concat(trim(figures, '[]')) as list
    from ${parts} where figures <> '[]' group by ${namesOf(keys)}`;
  const arrays = sql`select *, '[' || list || ']' as array from (${merged}) limit -1 offset 0`;
  const inOrder = sql`select *, iif(number_of_parts = 1, array, ${sorted(sql`select value from json_each(array)`)}) as in_order
    from (${arrays}) limit -1 offset 0`;
  return sql`select *, times as ${sql.identifier(number)} from (${rankSorted(inOrder)})`;
}

/** Adds the percentiles to groups with `durations`, a JSON array or null. Negative ones count as 0. */
export function rankArrays(groups: SQL): SQL {
  const inOrder = sorted(sql`select value from json_each(known.durations)`);
  return rankSorted(sql`select *, ${inOrder} as in_order from (${groups}) known limit -1 offset 0`);
}

/** Adds the percentiles to groups with `in_order`, a sorted JSON array, and its length as `times`. */
function rankSorted(groups: SQL): SQL {
  const counted = sql`select *, nullif(json_array_length(in_order), 0) as times from (${groups}) limit -1 offset 0`;
  const ranked = percentiles((percent) => sql`max(0, in_order ->> (${rank(percent)} - 1))`);
  return sql`select *, ${ranked} from (${counted})`;
}

/** Adds the percentiles to groups with `durations`, a JSON array in order, and their number in `times`, or null. */
function withPercentiles(groups: SQL): SQL {
  return sql`select *, ${percentiles(inOrder)} from (${groups})`;
}

const firstAbove = (percent: SQL) =>
  sql`min(case when up_to * 100 >= total * ${percent} then duration_ms end)`;
const inOrder = (percent: SQL) => sql`durations ->> (${rank(percent)} - 1)`;

/**
 * Adds to each of `groups` its percentiles and, as `times`, the number of its durations. `durationsOf` selects the
 * `duration_ms` of one group, and `sample` is an SQL value: a part of them, in order, as a JSON array. Durations may be null,
 * which counts as none, or negative, which counts as 0. Percentiles of a group without durations are null.
 *
 * SQLite needs ten times as long to sort a million durations as to read them from an index. The sample tells where the
 * middle and the tail are. Only those are sorted, and what lies below the middle is counted. If the sample is small, or
 * misleads so that a rank is in neither, the whole group is sorted.
 */
function rankDurations(groups: SQL, sample: SQL, durationsOf: () => SQL): SQL {
  const [p50, p90] = [rank(sql`50`, "counted"), rank(sql`90`, "counted")];
  const [inMiddle, inTail] = [sql`json_array_length(middle)`, sql`json_array_length(tail)`];
  const isRanked = sql`${p50} > below and ${p50} <= below + ${inMiddle}
    and (${p90} > counted - ${inTail} or below + ${inMiddle} + ${inTail} >= counted)`;
  const ranked = (percent: SQL) => sql`max(0, case
    when whole is not null then whole ->> (${rank(percent)} - 1)
    when ${rank(percent)} <= below + ${inMiddle} then middle ->> (${rank(percent)} - 1 - below)
    else tail ->> (${rank(percent)} - 1 - times + ${inTail}) end)`;
  const stages = withStages(
    groups,
    { sample },
    { size: sql`json_array_length(sample)` },
    { low: at(500, "-"), high: at(500, "+"), tail_from: at(900, "-") },
    {
      counts: sql`iif(size < ${margins[0].size}, null, (select json_array(count(duration_ms),
        count(*) filter (where duration_ms < low),
        json_group_array(duration_ms) filter (where duration_ms between low and high),
        json_group_array(duration_ms) filter (where duration_ms >= tail_from))
        from (${durationsOf()})))`,
    },
    {
      counted: sql`counts ->> '$[0]'`,
      below: sql`counts ->> '$[1]'`,
      middle: sorted(sql`select value from json_each(counts, '$[2]')`),
      tail: sorted(sql`select value from json_each(counts, '$[3]')`),
    },
    { whole: sql`iif(${isRanked}, null, ${sortedDurations(durationsOf())})` },
    { times: sql`ifnull(json_array_length(whole), counted)` },
  );
  return sql`${stages} select *, ${percentiles(ranked)} from known`;
}

/**
 * Adds to each of `groups` its percentiles and, as `number`, the number of its durations, which are read from an index.
 * Groups without durations are left out. `durationsOf` selects the `duration_ms` of one group, with a further condition.
 * SQLite checks conditions in their order, so that one should be the first.
 */
export function rankIndexed(
  groups: SQL,
  durationsOf: (condition?: SQL) => SQL,
  rowId: SQL,
  number: string,
): SQL {
  // Reading all entries is fast if most are left out. 31 is a prime, so that a pattern in the rows hardly matters.
  const sample = sortedDurations(durationsOf(sql`${rowId} % 31 = 0`));
  return sql`select *, times as ${sql.identifier(number)}
    from (${rankDurations(groups, sample, durationsOf)}) where times > 0`;
}

/** A JSON array of the values of a query, in order. */
export const sorted = (values: SQL) =>
  sql`(select json_group_array(value) from (${values} order by value))`;

const sortedDurations = (durations: SQL) =>
  sorted(sql`select duration_ms as value from (${durations}) where duration_ms is not null`);

/** More than four times the standard errors of the median and of p90, per mille, in a sample of at least this size. */
const margins = [
  { size: 300, 500: 125, 900: 75 },
  { size: 1000, 500: 65, 900: 40 },
  { size: 4500, 500: 30, 900: 18 },
  { size: 10_500, 500: 20, 900: 12 },
  { size: 30_000, 500: 12, 900: 7 },
] as const;

/** The value in the sample below or above this rank, per mille. */
function at(rank: 500 | 900, sign: "-" | "+"): SQL {
  const margin = margins.reduce(
    (before, { size, [rank]: permille }) => `iif(size < ${size}, ${before}, ${permille})`,
    "null",
  );
  return sql.raw(`sample ->> (size * (${rank} ${sign} ${margin}) / 1000)`);
}

const rank = (percent: SQL, times = "times") => sql`(${sql.raw(times)} * ${percent} + 99) / 100`;

/**
 * A WITH clause. Each stage adds columns to the rows of the stage before it. The rows are called `known`, in a stage and in the
 * query that follows. Each value is calculated once. Subqueries in subqueries would overflow the stack of SQLite's parser.
 */
function withStages(query: SQL, ...stages: Record<string, SQL>[]): SQL {
  const names = ["groups", ...stages.map((_, index) => `stage_${index}`)];
  const added = stages.map((values, index) => {
    const columns = Object.entries(values).map(
      ([name, value]) => sql`${value} as ${sql.identifier(name)}`,
    );
    const [before = "", name = ""] = names.slice(index, index + 2);
    return sql`${sql.raw(name)} as (select *, ${sql.join(columns, sql`, `)} from ${sql.raw(before)} known limit -1 offset 0)`;
  });
  const last = sql`known as (select * from ${sql.raw(names.at(-1) ?? "")})`;
  return sql`with ${sql.join([sql`groups as (${query})`, ...added, last], sql`, `)}`;
}

/** The report whose columns have the same names in `groups`. */
export function selectGroups<Row extends SQLiteTable, Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  tables: WorkflowTables,
  row: Row,
  groups: SQL,
  order: readonly (SQL | SQLiteColumn)[],
): ReportQuery<Row, Mode, RunResult> {
  const columns: Record<string, SQLiteColumn> = getTableColumns(row);
  const values = Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [name, nameOf(column)]),
  ) as { [Name in keyof Row["_"]["columns"]]: Expression };
  const report = builder.select(rowOf(row, values)).from(sql`(${groups}) groups`);
  return selectReport(db, tables, row, report, ...order);
}
