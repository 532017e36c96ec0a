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

/** The share of the durations with the same keys that are not longer than this one: above 0, up to 1. */
export function shareUpTo(durationMs: Expression, ...keys: SQLiteColumn[]): SQL<number> {
  // Otherwise SQLite reads an index in the order of these keys, and looks up every row for the other columns.
  const partition = sql.join(keys.map(unindexed), sql`, `);
  return sql`cume_dist() over (partition by ${partition} order by ${durationMs})`;
}

/**
 * The percentiles of a group of durations by nearest rank: the shortest duration that at least `percent` of all do not
 * exceed. SQLite has no function for it.
 */
export function percentilesOf(durationMs: Expression, share: Expression) {
  const percentile = (percent: number) =>
    // Both sides are quotients, so that 19 of 20 equals 95 of 100.
    sql`min(case when ${share} >= ${sql.raw(String(percent))} / 100.0 then ${durationMs} end)`;
  return {
    p50Ms: percentile(50),
    p90Ms: percentile(90),
    p95Ms: percentile(95),
    p99Ms: percentile(99),
    maxMs: sql`max(${durationMs})`,
  };
}
