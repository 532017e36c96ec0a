import type { BucketSize } from "../../reports/query/buckets.ts";
import { durationsOverTime } from "../../reports/durations-over-time.ts";
import { errorCodes, stepErrorCodes } from "../../reports/error-codes.ts";
import { oldestPending } from "../../reports/oldest-pending.ts";
import type { ReportOptions } from "../../reports/query/options.ts";
import { queueDepth } from "../../reports/queue-depth.ts";
import { queueLatency } from "../../reports/queue-latency.ts";
import { reliabilityOverTime } from "../../reports/reliability-over-time.ts";
import { runDurations } from "../../reports/run-durations.ts";
import { slowestSteps } from "../../reports/slowest-steps.ts";
import { stepDurations } from "../../reports/step-durations.ts";
import { stepFunnel } from "../../reports/step-funnel.ts";
import { stepReliability } from "../../reports/step-reliability.ts";
import { storage } from "../../reports/storage.ts";
import { stuckRuns } from "../../reports/stuck-runs.ts";
import { throughput } from "../../reports/throughput.ts";
import { workers } from "../../reports/workers.ts";
import { workflowVersions } from "../../reports/workflow-versions.ts";
import type { WorkflowDatabase } from "../../stores/libsql/libsql-store.ts";
import { translateError } from "../../stores/sqlite/errors/translate.ts";
import { escaped, printJson, print, printLine, table } from "./output.ts";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatShare,
  formatTime,
  absent,
} from "./words.ts";

export interface ReportArguments {
  readonly options: ReportOptions;
  readonly per: BucketSize;
  readonly zone?: string | undefined;
  readonly idleMs: number | undefined;
  readonly limit: number;
}

export type ReportRow = Readonly<Record<string, string | number | Date | null>>;

type Report = (db: WorkflowDatabase, given: ReportArguments) => PromiseLike<readonly ReportRow[]>;

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

export async function runReport(
  name: ReportName,
  db: WorkflowDatabase,
  given: ReportArguments,
): Promise<readonly ReportRow[]> {
  const report: Report = reports[name];
  try {
    return await report(db, given);
  } catch (error) {
    throw translateError(error, "read");
  }
}

export const reportFormats = ["table", "json", "ndjson", "csv", "markdown"] as const;
export type ReportFormat = (typeof reportFormats)[number];

/** Prints a report. Only a table and Markdown have rounded values with units, and times in `zone`. */
export function printReport(
  rows: readonly ReportRow[],
  format: ReportFormat,
  zone: string | undefined,
): void {
  switch (format) {
    case "json":
      return printJson(rows);
    case "ndjson":
      for (const row of rows) printLine(row);
      return;
    case "csv":
      if (rows.length > 0) print(csvOf(rows));
      return;
    default: {
      if (rows.length === 0) return print("nothing to report");
      const [headings = [], ...lines] = wordsOf(rows, zone);
      print(format === "table" ? table(headings, lines) : markdownOf(headings, lines));
    }
  }
}

/** The headings and the cells of a report. The name of a column tells the unit of its values. */
function wordsOf(rows: readonly ReportRow[], zone: string | undefined): string[][] {
  const columns = Object.keys(rows[0] ?? {});
  return [
    columns.map(headingOf),
    ...rows.map((row) => columns.map((column) => describeValue(column, row[column] ?? null, zone))),
  ];
}

/** `totalBytes` becomes `total`, `p95Ms` becomes `p95`: the values are printed with their units. */
function headingOf(column: string): string {
  return column
    .replace(/(Ms|Bytes)$/, "")
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function describeValue(column: string, value: ReportRow[string], zone: string | undefined): string {
  if (value instanceof Date) return formatTime(value, zone);
  if (typeof value !== "number") return value === null ? absent : escaped(value);
  if (column.endsWith("Ms")) return formatDuration(value);
  if (column.endsWith("Bytes")) return formatBytes(value);
  return column.endsWith("Rate") ? formatShare(value) : formatCount(value);
}

/** As in RFC 4180, with the names of the columns in the first line. Times are in UTC, and null is empty. */
function csvOf(rows: readonly ReportRow[]): string {
  const columns = Object.keys(rows[0] ?? {});
  return [columns, ...rows.map((row) => columns.map((column) => row[column] ?? null))]
    .map((cells) => cells.map(csvCell).join(","))
    .join("\n");
}

function csvCell(value: ReportRow[string]): string {
  const text = value instanceof Date ? value.toISOString() : String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function markdownOf(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = `|${" --- |".repeat(headings.length)}`;
  return [markdownLine(headings), rule, ...rows.map(markdownLine)].join("\n");
}

function markdownLine(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll(/[\\|<&`*_[\]]/g, "\\$&")).join(" | ")} |`;
}
