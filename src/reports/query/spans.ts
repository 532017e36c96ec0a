import { and, gte, isNotNull, sql, type SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import { bucketParts, type BucketOptions } from "./buckets.ts";
import { within, type Window } from "./conditions.ts";

interface Groups {
  /** The groups as a query, with these columns. */
  readonly query: SQL;
  readonly keys: readonly string[];
  /** The time of a row. */
  readonly time: SQLiteColumn;
  /** True for the rows of the group in `spans`. An index has them in the order of `time`. */
  readonly ofGroup?: SQL;
  readonly window: Window;
  /** A value for the rows of a span. */
  readonly figures: (inSpan: SQL | undefined) => SQL;
}

/**
 * The queries of a WITH RECURSIVE clause, of which the last has this name. It has a row with the keys, `bucket_start` and
 * `figures` for each span: times of a group that follow each other in one bucket. A bucket may have several spans.
 *
 * A search of the index per span takes a third of the time of calculating the bucket of each row and sorting the rows.
 * Subqueries in subqueries would overflow the stack of SQLite's parser.
 */
export function spansOf(
  name: string,
  { query, keys, time, ofGroup, window, figures }: Groups,
  options: BucketOptions,
): SQL {
  const { localColumns, ...parts } = bucketParts(options);
  const [end, localStart, start] = [parts.end, parts.localStart, parts.start].map((part) =>
    sql.raw(part),
  );
  const columns = sql.raw(keys.map((key) => `${key}, `).join(""));
  const [groups, spans, starts] = ["groups", "spans", "starts"].map((part) =>
    sql.raw(`${name}_${part}`),
  );
  const until = within(time, { until: window.until });
  const first = (from: SQL | undefined) =>
    sql`(select min(${time}) from ${time.table} where ${and(ofGroup, isNotNull(time), from, until)})`;
  // Each start has a row without its local time, then one with it. A time that is not a number is the last one.
  const local = sql.join(
    Object.values(localColumns).map((value) => sql`iif(local_at is null, ${sql.raw(value)}, null)`),
    sql`, `,
  );
  const inSpan = and(ofGroup, gte(time, sql`spans.at`), sql`${time} < ${end}`, until);
  return sql`${groups} as (${query}),
    ${spans} (${columns}at, ${sql.raw(Object.keys(localColumns).join(", "))}) as (
      select ${columns}${first(within(time, { since: window.since }))}, null, null from ${groups} spans union all
      select ${columns}iif(local_at is null, at, ${first(sql`${time} >= ${end}`)}), ${local}
      from ${spans} spans where iif(local_at is null, at is not null, at < ${end})
    ),
    ${starts} as (select *, ${localStart} as local_start from ${spans} where local_at is not null limit -1 offset 0),
    ${sql.raw(name)} as (select ${columns}${start} as bucket_start, (${figures(inSpan)}) as figures from ${starts} spans limit -1 offset 0)`;
}
