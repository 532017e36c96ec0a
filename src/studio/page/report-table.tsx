import type { Loaded } from "./data.ts";
import { reportValue } from "./format.ts";
import { Card, Empty, Load, RunLink, Table, Text, type Column } from "./parts.tsx";
import type { Report, ReportRow } from "./report-data.ts";

/** The titles of the columns that a table shows, by the names of the columns. */
type Titles = Readonly<Record<string, string>>;

export function columnsOf(rows: readonly ReportRow[], titles: Titles): Column<ReportRow>[] {
  return Object.entries(titles).map(([name, title]) => ({
    title,
    isNumber: rows.some((row) => typeof row[name] === "number"),
    cell: (row) => {
      const value = row[name] ?? null;
      if (name === "runId" && value !== null) return <RunLink runId={String(value)} />;
      return <Text mono={name === "workerId"} value={reportValue(name, value)} />;
    },
  }));
}

/** A report as a table. */
export function ReportCard({
  title,
  report,
  empty,
  titles,
}: {
  readonly title: string;
  readonly report: Loaded<Report>;
  /** The text in place of an empty table. */
  readonly empty: string;
  readonly titles: Titles;
}) {
  return (
    <Card title={title}>
      <Load from={report}>
        {({ rows }) =>
          rows.length === 0 ? (
            <Empty>{empty}</Empty>
          ) : (
            <Table label={title} rows={rows} columns={columnsOf(rows, titles)} />
          )
        }
      </Load>
    </Card>
  );
}
