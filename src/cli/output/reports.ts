import { csvOf } from "../../reports/csv.ts";
import {
  runReport as queryReport,
  type ReportArguments,
  type ReportName,
  type ReportRow,
} from "../../reports/named-reports.ts";
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

export async function runReport(
  name: ReportName,
  db: WorkflowDatabase,
  given: ReportArguments,
): Promise<readonly ReportRow[]> {
  try {
    return await queryReport(name, db, given);
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
  zone?: string,
  columns?: readonly string[],
): void {
  switch (format) {
    case "json":
      return printJson(rows);
    case "ndjson":
      for (const row of rows) printLine(row);
      return;
    case "csv":
      return print(csvOf(rows, undefined, columns));
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

function markdownOf(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = `|${" --- |".repeat(headings.length)}`;
  return [markdownLine(headings), rule, ...rows.map(markdownLine)].join("\n");
}

function markdownLine(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll(/[\\|<&`*_[\]]/g, "\\$&")).join(" | ")} |`;
}
