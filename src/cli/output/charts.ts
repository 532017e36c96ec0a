import { plot, red, green, blue, reset } from "asciichart";
import { colors } from "./output.ts";
import type { ReportRow } from "./reports.ts";

const bucketMs = { hour: 3_600_000, day: 86_400_000 } as const;

const series = [
  { column: "created", color: blue, paint: colors.blue },
  { column: "completed", color: green, paint: colors.green },
  { column: "failed", color: red, paint: colors.red },
] as const;

/** The width of the vertical axis. */
const labelWidth = 8;
const axisWidth = labelWidth + 2;

export interface ChartOptions {
  readonly per: keyof typeof bucketMs;
  /** The width of the terminal. The chart uses 60 to 200 columns. */
  readonly columns: number;
  /** The window of the report. Partial buckets are marked. */
  readonly since: Date | undefined;
  readonly until: Date;
}

/**
 * A chart of the runs created, completed and failed over time, of all workflows. It has a column per bucket, for the
 * newest buckets that fit. Null for a single bucket.
 */
export function drawThroughput(
  rows: readonly ReportRow[],
  { per, columns, since, until }: ChartOptions,
): string | null {
  const size = bucketMs[per];
  const indexes = rows.map(({ bucketStart }) => Math.round((bucketStart as Date).getTime() / size));
  const first = indexes.reduce((a, b) => Math.min(a, b), Infinity);
  const last = indexes.reduce((a, b) => Math.max(a, b), -Infinity);
  if (last <= first) return null;
  const room = Math.min(200, Math.max(60, columns)) - axisWidth - 1;
  const begin = Math.max(first, last - room + 1);
  const lines = series.map(({ column }) => {
    const counts = Array.from({ length: last - begin + 1 }, () => 0);
    for (const [row, index] of indexes.entries()) {
      if (index >= begin) counts[index - begin]! += Number(rows[row]?.[column]);
    }
    return counts;
  });
  const isColored = colors.isColorSupported;
  const chart = plot(lines, {
    height: 8,
    min: 0,
    ...(isColored && { colors: series.map(({ color }) => color) }),
    format: (value: number) => String(Math.round(value)).padStart(labelWidth),
  });
  const isPartial = (index: number) =>
    (since !== undefined && since.getTime() > index * size) || until.getTime() < (index + 1) * size;
  const label = (index: number) =>
    new Date(index * size).toISOString().replace(per === "day" ? /T.*/ : /:.*/, "") +
    (isPartial(index) ? "*" : "");
  const [from, to] = [label(begin), label(last)];
  const gap = last - begin + 1 - from.length - to.length;
  return [
    `${chart}${isColored ? reset : ""}`,
    `${" ".repeat(axisWidth)}${from}${gap < 4 ? " to " : " ".repeat(gap)}${to}`,
    `${series.map(({ column, paint }) => paint(column)).join("  ")}  per ${per}`,
    ...(isPartial(begin) || isPartial(last) ? ["* only a part of it is counted"] : []),
  ].join("\n");
}
