import { useData, type Freshness, type Loaded } from "./data.ts";
import type { Series } from "./chart.tsx";
import { ms } from "./format.ts";
import { addressOf } from "./navigation.ts";

export type ReportRow = Readonly<Record<string, string | number | null>>;

export interface Report {
  readonly rows: readonly ReportRow[];
  /** The beginning of the period; null for all time. */
  readonly since: string | null;
  /** The most rows that a report has, unless it is over time. */
  readonly limit: number;
  readonly now: string;
}

export type ReportParameters = Readonly<Record<string, string | null | undefined>>;

export const reportAddress = (name: string, given: ReportParameters, file = "report") =>
  addressOf(file, { name, ...given });

export const useReport = (
  name: string | null,
  given: ReportParameters,
  freshness: Freshness = "slow",
): Loaded<Report> => useData<Report>(name === null ? null : reportAddress(name, given), freshness);

const stepMs: Readonly<Record<string, number>> = {
  hour: 3_600_000,
  day: 86_400_000,
  week: 7 * 86_400_000,
};

/** The most buckets without an event that are added. */
const mostBuckets = 2000;

/**
 * The times of the buckets of a report over time, from its beginning to the present. Those without rows are added, except
 * for months, which differ in length.
 */
export function bucketsOf({ rows, since, now }: Report, per: string): readonly number[] {
  const times = [...new Set(rows.map((row) => ms(String(row["bucketStart"]))))].toSorted(
    (a, b) => a - b,
  );
  const [first, last, step] = [times[0], times.at(-1), stepMs[per]];
  if (first === undefined || last === undefined) return [];
  if (step === undefined) return times;
  const before = since === null ? 1 : Math.ceil((first - ms(since)) / step);
  const from = first - Math.max(before, 0) * step;
  const to = Math.max(last, ms(now));
  const size = Math.floor((to - from) / step) + 1;
  return size > mostBuckets ? times : Array.from({ length: size }, (_, at) => from + at * step);
}

/** The sums of a column per bucket. */
export function sumsOf(
  rows: readonly ReportRow[],
  times: readonly number[],
  column: string,
): number[] {
  const sums = new Map(times.map((at) => [at, 0]));
  for (const row of rows) {
    const at = ms(String(row["bucketStart"]));
    sums.set(at, (sums.get(at) ?? 0) + Number(row[column] ?? 0));
  }
  return times.map((at) => sums.get(at) ?? 0);
}

const colors = ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6"];

/** A line for each of the first workflows: a column that cannot be summed. */
export function linesOf(
  rows: readonly ReportRow[],
  times: readonly number[],
  column: string,
): Series[] {
  const workflows = [...new Set(rows.map((row) => String(row["workflowId"])))];
  return workflows.slice(0, colors.length).map((workflow, index) => {
    const values = new Map(
      rows
        .filter((row) => row["workflowId"] === workflow)
        .map((row) => [ms(String(row["bucketStart"])), Number(row[column])]),
    );
    return {
      label: workflow,
      color: colors[index] ?? "series-1",
      values: times.map((at) => values.get(at) ?? null),
    };
  });
}
