import { plot, red, green, blue, reset } from "asciichart";
import { colors } from "./output.ts";
import type { ReportRow } from "./reports.ts";

const bucketMs = { hour: 3_600_000, day: 86_400_000 } as const;

/** The newest buckets, as many as a line of a terminal holds. */
const widest = 72;

const series = [
  { column: "created", color: blue, paint: colors.blue },
  { column: "completed", color: green, paint: colors.green },
  { column: "failed", color: red, paint: colors.red },
] as const;

/**
 * Lines over time of what was created, completed and failed, all workflows together; null where one bucket is all
 * there is.
 */
export function drawThroughput(
  rows: readonly ReportRow[],
  per: keyof typeof bucketMs,
): string | null {
  const times = rows.map(({ bucketStart }) => (bucketStart as Date).getTime());
  const first = times.reduce((least, time) => Math.min(least, time));
  const last = times.reduce((greatest, time) => Math.max(greatest, time));
  const all = Math.round((last - first) / bucketMs[per]) + 1;
  if (all === 1) return null;
  const shown = Math.min(all, widest);
  const begin = last - (shown - 1) * bucketMs[per];
  const lines = series.map(({ column }) => {
    const counts = Array.from({ length: shown }, () => 0);
    for (const [index, row] of rows.entries()) {
      const bucket = Math.round(((times[index] ?? 0) - begin) / bucketMs[per]);
      if (bucket >= 0) counts[bucket] = (counts[bucket] ?? 0) + Number(row[column]);
    }
    return counts;
  });
  const isColored = colors.isColorSupported;
  const chart = plot(lines, {
    height: 8,
    min: 0,
    ...(isColored && { colors: series.map(({ color }) => color) }),
    format: (value: number) => String(Math.round(value)).padStart(8),
  });
  const legend = series.map(({ column, paint }) => paint(column)).join("  ");
  const from = new Date(begin).toISOString().replace(per === "day" ? /T.*/ : /:.*/, "");
  return `${chart}${isColored ? reset : ""}\n${legend}  per ${per}, from ${from}`;
}
