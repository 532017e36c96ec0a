import { useData, type Freshness, type Loaded } from "./data.ts";
import type { Series } from "./chart.tsx";
import { ms } from "./format.ts";
import { addressOf } from "./navigation.ts";

export type ReportRow = Readonly<Record<string, string | number | null>>;

export interface Report {
  readonly rows: readonly ReportRow[];
  /** The times of a line: the starts of the buckets with rows, and of the empty ones beside them. */
  readonly times: readonly number[];
  /** The time zone in which the buckets begin. */
  readonly zone: string;
  /** The most rows that a report has, unless it is over time. */
  readonly limit: number;
}

export const text = (row: ReportRow, column: string) => String(row[column] ?? "");
export const number = (row: ReportRow, column: string) => Number(row[column] ?? 0);

export type ReportParameters = Readonly<Record<string, string | null | undefined>>;

/** The time zone of the browser, of which it may know only that it does not know it. */
function browserZone(): string {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  return timeZone === "Etc/Unknown" ? "UTC" : timeZone;
}

/** Reports over time, which have a parameter `per`, are in the time zone of the browser. */
export const reportAddress = (name: string, given: ReportParameters, file = "report") =>
  addressOf(file, { name, ...given, ...("per" in given && { zone: browserZone() }) });

export const useReport = (
  name: string | null,
  given: ReportParameters,
  freshness: Freshness = "slow",
): Loaded<Report> => useData<Report>(name === null ? null : reportAddress(name, given), freshness);

/** The sums of a column per bucket. */
export function sumsOf({ rows, times }: Report, column: string): number[] {
  const sums = new Map(times.map((at) => [at, 0]));
  for (const row of rows) {
    const at = ms(text(row, "bucketStart"));
    sums.set(at, (sums.get(at) ?? 0) + number(row, column));
  }
  return times.map((at) => sums.get(at) ?? 0);
}

/** The values of a column per bucket; null without a row. */
export function valuesOf({ rows, times }: Report, column: string): (number | null)[] {
  const values = new Map(rows.map((row) => [ms(text(row, "bucketStart")), number(row, column)]));
  return times.map((at) => values.get(at) ?? null);
}

const colors = ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6"];

/** A line for each of the workflows with the most runs, and how many workflows there are: a column that cannot be summed. */
export function linesOf(report: Report, column: string): { series: Series[]; workflows: number } {
  const runs = new Map<string, number>();
  for (const row of report.rows) {
    const workflow = text(row, "workflowId");
    runs.set(workflow, (runs.get(workflow) ?? 0) + number(row, "runs"));
  }
  const series = [...runs]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, colors.length)
    .map(([workflow], index) => {
      const rows = report.rows.filter((row) => row["workflowId"] === workflow);
      return {
        label: workflow,
        color: colors[index] ?? "series-1",
        values: valuesOf({ ...report, rows }, column),
      };
    });
  return { series, workflows: runs.size };
}
