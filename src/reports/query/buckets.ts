import { sql, Subquery, type SQL } from "drizzle-orm";
import * as z from "zod/mini";
import { time } from "../../schema/columns.ts";
import {
  firstTimeOf,
  localTime,
  localTimeOf,
  nextChange,
  timeAtLocal,
  timeZoneSchema,
} from "./time-zones.ts";

export const bucketSizes = ["hour", "day", "week", "month"] as const;
export type BucketSize = (typeof bucketSizes)[number];

export interface BucketOptions {
  /** The size of a bucket. Defaults to a day. Weeks begin on Monday. */
  readonly per?: BucketSize | undefined;
  /** The IANA time zone in which buckets begin, such as `Europe/Berlin`. Defaults to UTC. */
  readonly zone?: string | undefined;
}

export const bucketShape = {
  per: z.optional(z.enum(bucketSizes)),
  zone: z.optional(timeZoneSchema),
};

/** The column of a report over time: when the bucket begins. */
export const bucketColumns = () => ({ bucketStart: time("bucket_start").notNull() });

const [hourMs, dayMs] = [3_600_000, 86_400_000];

/** The start of the bucket of an event, in the source of `inBuckets`. */
export const bucketStart = sql`bucket_start`;

/** Events with a column `at`, as the source of a query that groups them by `bucketStart`. Its alias is that of the events. */
export function inBuckets<Alias extends string, Fields extends Record<string, unknown>>(
  events: Subquery<Alias, Fields>,
  options: BucketOptions,
): Subquery<Alias, Fields> {
  const { sql: query, selectedFields, alias, usedTables } = events._;
  return new Subquery(withBuckets(query, options), selectedFields, alias, false, usedTables);
}

/** Adds `bucket_start` to the rows of a query with a column `at`. */
export function withBuckets(query: SQL, { per = "day", zone = "UTC" }: BucketOptions): SQL {
  if (zone === "UTC") return withColumn("bucket_start", startOf("at", per), query);
  if (per === "hour") {
    const past = remainder(localTime("at", zone), hourMs);
    return withColumn("bucket_start", `at - ${past}`, query);
  }
  // Each step uses the value of the one before many times.
  const local = computedOnce(withColumn("local_at", localTime("at", zone), query));
  const localStart = computedOnce(withColumn("local_start", startOf("local_at", per), local));
  return withColumn("bucket_start", firstTimeOf("local_start", zone), localStart);
}

function withColumn(name: string, expression: string, query: SQL): SQL {
  return sql`select *, ${sql.raw(expression)} as ${sql.raw(name)} from (${query})`;
}

/** SQLite replaces a name with its expression, but not that of a query with a limit. */
function computedOnce(query: SQL): SQL {
  return sql`${query} limit -1 offset 0`;
}

/** Rounds down, also before 1970. */
function startOf(at: string, per: BucketSize): string {
  const day = `${at} - ${remainder(at, dayMs)}`;
  return {
    hour: `${at} - ${remainder(at, hourMs)}`,
    day,
    // 1970 began on a Thursday.
    week: `${at} - ${remainder(`${at} + ${3 * dayMs}`, 7 * dayMs)}`,
    // SQLite has no months outside the years 0 to 9999.
    month: `coalesce(unixepoch((${day}) / 1000, 'unixepoch', 'start of month') * 1000, ${day})`,
  }[per];
}

/** The end of the bucket, or earlier. */
function endOf(at: string, per: BucketSize): string {
  const nextDay = `${startOf(at, "day")} + ${dayMs}`;
  return {
    hour: `${startOf(at, "hour")} + ${hourMs}`,
    day: nextDay,
    week: `${startOf(at, "week")} + ${7 * dayMs}`,
    month: `coalesce(unixepoch((${startOf(at, "day")}) / 1000, 'unixepoch', 'start of month', '+1 month') * 1000, ${nextDay})`,
  }[per];
}

/**
 * SQL for the buckets of times that have columns `at`, `local_at` and `next_change`, as of `localColumns`. All times from
 * `at` until `end` are in the same bucket.
 */
export function bucketParts({ per = "day", zone = "UTC" }: BucketOptions) {
  return {
    localColumns: { local_at: localTime("at", zone), next_change: nextChange("at", zone) },
    end: `min(at + ${endOf("local_at", per)} - local_at, next_change)`,
    localStart: startOf("local_at", per),
    /** Needs `localStart` as `local_start`. */
    start: per === "hour" ? "at - local_at + local_start" : firstTimeOf("local_start", zone),
  };
}

/** The start of the bucket that contains `at`, as in the reports. In milliseconds since 1970. */
export function bucketStartOf(
  at: number,
  { per = "day", zone = "UTC" }: Readonly<BucketOptions>,
): number {
  const local = localTimeOf(at, zone);
  const past = (size: number, from = 0) => (((local + from) % size) + size) % size;
  if (per === "hour") return at - past(hourMs);
  const day = local - past(dayMs);
  const week = local - past(7 * dayMs, 3 * dayMs);
  return timeAtLocal({ day, week, month: new Date(day).setUTCDate(1) }[per], zone);
}

/** Not shorter than a bucket, and shorter than two. */
const longBucketMs: Readonly<Record<BucketSize, number>> = {
  hour: 1.1 * hourMs,
  day: 1.1 * dayMs,
  week: 7.1 * dayMs,
  month: 33 * dayMs,
};

/**
 * The starts of the buckets that a line through `starts` needs, in order: these, the empty ones beside them, and the
 * first and the last of the window. A line between two of them that are not neighbours is over empty buckets alone.
 */
export function bucketsOfLine(
  starts: readonly number[],
  options: Readonly<BucketOptions>,
  { since, until }: { readonly since: number | null; readonly until: number },
): number[] {
  const [first, last] = [since ?? -Infinity, until].map((at) =>
    Number.isFinite(at) ? bucketStartOf(at, options) : at,
  ) as [number, number];
  const beside = [...new Set(starts)].flatMap((start) =>
    [start - 1, start + longBucketMs[options.per ?? "day"]]
      .map((at) => bucketStartOf(at, options))
      .filter((at) => at >= first && at <= last),
  );
  const ends = [first, last].filter(Number.isFinite);
  return [...new Set([...starts, ...beside, ...ends])].toSorted((a, b) => a - b);
}

/** The remainder of a division, from 0 up to `size`. */
function remainder(expression: string, size: number): string {
  return `((${expression}) % ${size} + ${size}) % ${size}`;
}
