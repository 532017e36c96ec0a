import { sql } from "drizzle-orm";
import { integer } from "../schema/columns.ts";
import type { Expression } from "./report-query.ts";

/** The columns of a report on durations, in milliseconds. */
export const durationColumns = () => ({
  p50Ms: integer("p50_ms").notNull(),
  p90Ms: integer("p90_ms").notNull(),
  p95Ms: integer("p95_ms").notNull(),
  p99Ms: integer("p99_ms").notNull(),
  maxMs: integer("max_ms").notNull(),
});

/** Durations that occur `times` times each. */
interface CountedDurations {
  readonly durationMs: Expression;
  readonly times: Expression;
}

/**
 * The percentiles of the durations of a group by nearest rank: the shortest duration that at least `percent` of all do
 * not exceed. SQLite has no function for it.
 */
export function percentilesOf(durations: RankedDurations) {
  const { durationMs, upTo, total } = durations;
  const percentile = (percent: number) =>
    sql`min(case when ${upTo} * 100 >= ${total} * ${sql.raw(String(percent))} then ${durationMs} end)`;
  return {
    p50Ms: percentile(50),
    p90Ms: percentile(90),
    p95Ms: percentile(95),
    p99Ms: percentile(99),
    maxMs: sql`max(${durationMs})`,
  };
}

interface RankedDurations {
  readonly durationMs: Expression;
  /** How many durations of the group are not longer. */
  readonly upTo: Expression;
  /** How many durations the group has. */
  readonly total: Expression;
}

/** The ranks of counted durations in the group of their keys. Ranking each duration by itself takes twice as long. */
export function ranksOf({ durationMs, times }: CountedDurations, ...keys: Expression[]) {
  const group = sql`partition by ${sql.join(keys, sql`, `)}`;
  return {
    upTo: sql<number>`sum(${times}) over (${group} order by ${durationMs})`.as("up_to"),
    total: sql<number>`sum(${times}) over (${group})`.as("total"),
  };
}
