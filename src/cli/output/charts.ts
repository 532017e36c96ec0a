import { plot, blue, green, red, reset } from "asciichart";
import type { BucketSize } from "../../reports/query/buckets.ts";
import { colors } from "./output.ts";
import type { ReportName, ReportRow } from "../../reports/named-reports.ts";
import { formatTime } from "./words.ts";

const dayMs = 86_400_000;
const hourMs = 3_600_000;

/** The mean length of a bucket: days with a change of clocks, and months, differ in length. */
const meanMs: Readonly<Record<BucketSize, number>> = {
  hour: hourMs,
  day: dayMs,
  week: 7 * dayMs,
  month: 30.436875 * dayMs,
};

const lines = [
  { color: blue, paint: colors.blue },
  { color: green, paint: colors.green },
  { color: red, paint: colors.red },
] as const;

/** The columns that are drawn. Their values are added up over the workflows. */
const charts: Partial<Record<ReportName, readonly string[]>> = {
  throughput: ["created", "completed", "failed"],
  retries: ["executions", "retries", "failed"],
};

/** The width of the vertical axis. */
const labelWidth = 8;
const axisWidth = labelWidth + 2;

export interface ChartOptions {
  readonly per: BucketSize;
  readonly zone?: string | undefined;
  /** The width of the terminal. The chart uses 60 to 200 columns. */
  readonly columns: number;
  /** The window of the report. Partial buckets are marked. */
  readonly since: Date | undefined;
  readonly until: Date;
}

/**
 * A chart of a report over time, of all workflows. It has a column per bucket, for the newest buckets that fit. Null for
 * another report, and for a single bucket.
 */
export function drawChart(
  name: ReportName,
  rows: readonly ReportRow[],
  { per, zone, columns, since, until }: ChartOptions,
): string | null {
  const drawn = charts[name];
  if (drawn === undefined) return null;
  const starts = rows.map(({ bucketStart }) => (bucketStart as Date).getTime());
  const first = starts.reduce((a, b) => Math.min(a, b), Infinity);
  const indexes = starts.map((start) => Math.round((start - first) / meanMs[per]));
  const last = indexes.reduce((a, b) => Math.max(a, b), -Infinity);
  if (last <= 0) return null;
  const room = Math.min(200, Math.max(60, columns)) - axisWidth - 1;
  const begin = indexes.reduce((a, b) => (b > last - room ? Math.min(a, b) : a), last);
  const values = drawn.map((column) => {
    const counts = Array.from({ length: last - begin + 1 }, () => 0);
    for (const [row, index] of indexes.entries()) {
      if (index >= begin) counts[index - begin]! += Number(rows[row]?.[column]);
    }
    return counts;
  });
  // Without colors, lines in one chart could not be told apart.
  const chart = colors.isColorSupported
    ? plotIn(
        8,
        values,
        lines.map(({ color }) => color),
      ) + reset
    : values.map((line, index) => `${drawn[index]}\n${plotIn(4, [line])}`).join("\n");
  const ends = [begin, last].map((index) => {
    const start = starts[indexes.indexOf(index)] ?? first;
    const isPartial =
      (since !== undefined && since.getTime() > start) || endsAfter(until, start, per, zone);
    return { label: labelOf(start, per, zone) + (isPartial ? "*" : ""), isPartial };
  });
  const [from = "", to = ""] = ends.map(({ label }) => label);
  const gap = last - begin + 1 - from.length - to.length;
  return [
    chart,
    `${" ".repeat(axisWidth)}${from}${gap < 4 ? " to " : " ".repeat(gap)}${to}`,
    colors.isColorSupported
      ? `${drawn.map((column, index) => lines[index]?.paint(column)).join("  ")}  per ${per}`
      : `per ${per}`,
    ...(ends.some(({ isPartial }) => isPartial) ? ["* only a part of it is counted"] : []),
  ].join("\n");
}

/** A plot of at most this height. Values are whole numbers, which more rows would repeat. */
function plotIn(height: number, values: number[][], colored: readonly string[] = []): string {
  return plot(values, {
    height: Math.min(height, Math.max(1, ...values.flat())),
    min: 0,
    ...(colored.length > 0 && { colors: [...colored] }),
    format: (value: number) => String(Math.round(value)).padStart(labelWidth),
  });
}

/** True if the bucket that begins at `start` ends after `time`. */
function endsAfter(time: Date, start: number, per: BucketSize, zone: string | undefined): boolean {
  if (per === "hour") return time.getTime() < start + hourMs;
  if (per === "month") return labelOf(time.getTime(), per, zone) <= labelOf(start, per, zone);
  const [from, to] = [start, time.getTime()].map((at) => Date.parse(labelOf(at, "day", zone)));
  return Number(to) < Number(from) + meanMs[per];
}

function labelOf(start: number, per: BucketSize, zone: string | undefined): string {
  const length = { hour: 13, day: 10, week: 10, month: 7 }[per];
  return formatTime(new Date(start), zone).slice(0, length);
}
