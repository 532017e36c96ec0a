import { errorCodes, stepErrorCodes } from "../../reports/error-codes.ts";
import { oldestPending } from "../../reports/oldest-pending.ts";
import type { ReportOptions } from "../../reports/options.ts";
import { runDurations } from "../../reports/run-durations.ts";
import { slowestSteps } from "../../reports/slowest-steps.ts";
import { stepDurations } from "../../reports/step-durations.ts";
import { stepReliability } from "../../reports/step-reliability.ts";
import { storage } from "../../reports/storage.ts";
import { stuckRuns } from "../../reports/stuck-runs.ts";
import { throughput } from "../../reports/throughput.ts";
import type { WorkflowDatabase } from "../../stores/libsql/libsql-store.ts";
import { translateError } from "../../stores/sqlite/errors/translate.ts";
import { escaped, table } from "./output.ts";
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
  readonly per: "hour" | "day";
  readonly idleMs: number | undefined;
  readonly limit: number;
}

export type ReportRow = Readonly<Record<string, string | number | Date | null>>;

type Report = (db: WorkflowDatabase, given: ReportArguments) => PromiseLike<readonly ReportRow[]>;

/** The reports of `gorkflow/reports` by the names that the command uses. */
const reports = {
  throughput: (db, { options, per }) => throughput(db, { ...options, per }),
  runs: (db, { options, limit }) => runDurations(db, options).limit(limit),
  steps: (db, { options, limit }) => stepDurations(db, options).limit(limit),
  reliability: (db, { options, limit }) => stepReliability(db, options).limit(limit),
  slowest: (db, { options, limit }) => slowestSteps(db, options).limit(limit),
  errors: (db, { options, limit }) => errorCodes(db, options).limit(limit),
  "step-errors": (db, { options, limit }) => stepErrorCodes(db, options).limit(limit),
  stuck: (db, { options, idleMs, limit }) => stuckRuns(db, { ...options, idleMs }).limit(limit),
  pending: (db, { options, limit }) => oldestPending(db, options).limit(limit),
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

/** A report as a table. The name of a column tells the unit of its values. */
export function drawReport(rows: readonly ReportRow[]): string {
  const columns = Object.keys(rows[0] ?? {});
  return table(
    columns.map(headingOf),
    rows.map((row) => columns.map((column) => describeValue(column, row[column] ?? null))),
  );
}

/** `totalBytes` becomes `total`, `p95Ms` becomes `p95`: the values are printed with their units. */
function headingOf(column: string): string {
  return column
    .replace(/(Ms|Bytes)$/, "")
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function describeValue(column: string, value: ReportRow[string]): string {
  if (value instanceof Date) return formatTime(value);
  if (typeof value !== "number") return value === null ? absent : escaped(value);
  if (column.endsWith("Ms")) return formatDuration(value);
  if (column.endsWith("Bytes")) return formatBytes(value);
  return column.endsWith("Rate") ? formatShare(value) : formatCount(value);
}
