import { sql, type SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import { integer } from "../schema/columns.ts";
import { unindexed } from "./conditions.ts";
import type { Expression } from "./report-query.ts";

/** The columns of a report on durations, in milliseconds. */
export const durationColumns = () => ({
  p50Ms: integer("p50_ms").notNull(),
  p90Ms: integer("p90_ms").notNull(),
  p95Ms: integer("p95_ms").notNull(),
  p99Ms: integer("p99_ms").notNull(),
  maxMs: integer("max_ms").notNull(),
});

/** Of the durations of the same keys, the share that is not longer than this one: above 0, up to 1. */
export function shareUpTo(durationMs: Expression, ...keys: SQLiteColumn[]): SQL<number> {
  // Grouping is no reason to walk an index in the order of its keys, and to read every row for the rest.
  const partition = sql.join(keys.map(unindexed), sql`, `);
  return sql`cume_dist() over (partition by ${partition} order by ${durationMs})`;
}

/**
 * The percentiles of a group of durations, by nearest rank: the shortest one that at least `percent` of all do
 * not exceed. It is always one that was measured, and takes no function that SQLite lacks.
 */
export function percentilesOf(durationMs: Expression, share: Expression) {
  const percentile = (percent: number) =>
    // A quotient on both sides: 19 of 20 and 95 of 100 are the same number then.
    sql`min(case when ${share} >= ${sql.raw(String(percent))} / 100.0 then ${durationMs} end)`;
  return {
    p50Ms: percentile(50),
    p90Ms: percentile(90),
    p95Ms: percentile(95),
    p99Ms: percentile(99),
    maxMs: sql`max(${durationMs})`,
  };
}
