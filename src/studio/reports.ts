import {
  durationsOverTime,
  errorCodes,
  oldestPending,
  queueDepth,
  queueLatency,
  reliabilityOverTime,
  runDurations,
  slowestSteps,
  stepDurations,
  stepErrorCodes,
  stepFunnel,
  stepReliability,
  storage,
  stuckRuns,
  throughput,
  workers,
  workflowVersions,
  type BucketSize,
  type ReportDatabase,
  type ReportOptions,
} from "../reports/index.ts";

export interface ReportArguments {
  readonly options: ReportOptions;
  readonly per: BucketSize;
  readonly zone?: string | undefined;
  readonly idleMs: number | undefined;
  readonly limit: number;
}

export type ReportRow = Readonly<Record<string, string | number | Date | null>>;

type Database = ReportDatabase<"async", unknown>;

type Report = (db: Database, given: ReportArguments) => PromiseLike<readonly ReportRow[]>;

/** The reports of `gorkflow/reports` by the names that the command uses. Those over time have no limit. */
const reports = {
  throughput: (db, { options, per, zone }) => throughput(db, { ...options, per, zone }),
  durations: (db, { options, per, zone }) => durationsOverTime(db, { ...options, per, zone }),
  retries: (db, { options, per, zone }) => reliabilityOverTime(db, { ...options, per, zone }),
  runs: (db, { options, limit }) => runDurations(db, options).limit(limit),
  latency: (db, { options, limit }) => queueLatency(db, options).limit(limit),
  versions: (db, { options, limit }) => workflowVersions(db, options).limit(limit),
  steps: (db, { options, limit }) => stepDurations(db, options).limit(limit),
  reliability: (db, { options, limit }) => stepReliability(db, options).limit(limit),
  funnel: (db, { options, limit }) => stepFunnel(db, options).limit(limit),
  slowest: (db, { options, limit }) => slowestSteps(db, options).limit(limit),
  errors: (db, { options, limit }) => errorCodes(db, options).limit(limit),
  "step-errors": (db, { options, limit }) => stepErrorCodes(db, options).limit(limit),
  stuck: (db, { options, idleMs, limit }) => stuckRuns(db, { ...options, idleMs }).limit(limit),
  pending: (db, { options, limit }) => oldestPending(db, options).limit(limit),
  queue: (db, { options, limit }) => queueDepth(db, options).limit(limit),
  workers: (db, { options, limit }) => workers(db, options).limit(limit),
  storage: (db, { options, limit }) => storage(db, options).limit(limit),
} satisfies Record<string, Report>;

export type ReportName = keyof typeof reports;

export const reportNames = Object.keys(reports) as ReportName[];

export function runReport(
  name: ReportName,
  db: Database,
  given: ReportArguments,
): PromiseLike<readonly ReportRow[]> {
  const report: Report = reports[name];
  return report(db, given);
}

/** As in RFC 4180, with the names of the columns in the first line. Times are in UTC, and null is empty. */
export function csvOf(
  rows: readonly ReportRow[],
  cellOf: (value: string) => string = (value) => value,
): string {
  const columns = Object.keys(rows[0] ?? {});
  return [columns, ...rows.map((row) => columns.map((column) => row[column] ?? null))]
    .map((cells) => cells.map((value) => csvCell(value, cellOf)).join(","))
    .join("\n");
}

function csvCell(value: ReportRow[string], cellOf: (value: string) => string): string {
  const text =
    value instanceof Date
      ? value.toISOString()
      : typeof value === "string"
        ? cellOf(value)
        : String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A program for spreadsheets would calculate text that begins as a formula does. */
export function withoutFormula(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}
