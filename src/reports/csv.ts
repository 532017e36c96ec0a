import type { ReportRow } from "./named-reports.ts";

/** As in RFC 4180, with the names of the columns in the first line. Times are in UTC, and null is empty. */
export function csvOf(
  rows: readonly ReportRow[],
  cellOf: (value: string) => string = (value) => value,
  columns: readonly string[] = Object.keys(rows[0] ?? {}),
): string {
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
