import { useState } from "preact/hooks";
import { TimeChart } from "./chart.tsx";
import { useData } from "./data.ts";
import { count, duration, share, time } from "./format.ts";
import { addressOf, runAddress } from "./navigation.ts";
import { Card, Empty, Load, Status, Table, Text } from "./parts.tsx";
import { lastMsOf, PeriodChoice, periods, type Period } from "./period.tsx";
import { number, sumsOf, text, useReport, type Report, type ReportRow } from "./report-data.ts";

export function Overview({ hasReports }: { readonly hasReports: boolean }) {
  const [period, setPeriod] = useState<Period>("24h");
  const counts = useData<{ counts: Record<string, number> }>("counts");
  return (
    <>
      <div class="page-head">
        <h1>Overview</h1>
        {hasReports && <PeriodChoice value={period} onChange={setPeriod} />}
      </div>
      <Load from={counts}>
        {({ counts: all }) => (
          <ul class="counts" aria-label="Runs by status">
            {Object.entries(all).map(([status, runs]) => (
              <li key={status}>
                <a href={addressOf("runs", { status })}>
                  <strong>{count(runs)}</strong>
                  <Status value={status} />
                </a>
              </li>
            ))}
          </ul>
        )}
      </Load>
      {hasReports ? (
        <ReportCards period={period} />
      ) : (
        <Empty>This store has no SQLite database, so it has no reports.</Empty>
      )}
    </>
  );
}

function ReportCards({ period }: { readonly period: Period }) {
  const lastMs = lastMsOf(period);
  const { per } = periods[period];
  const throughput = useReport("throughput", { lastMs, per });
  const queue = useReport("queue", {});
  const workers = useReport("workers", {});
  const stuck = useReport("stuck", { limit: "20" });
  const slowest = useReport("slowest", { lastMs, limit: "8" });
  const reliability = useReport("reliability", { lastMs });
  return (
    <>
      <Card title="Throughput and failures">
        <Load from={throughput}>{(report) => <Throughput report={report} per={per} />}</Load>
      </Card>
      <div class="grid">
        <Card title="Queue">
          <Load from={queue}>
            {({ rows }) =>
              rows.length === 0 ? (
                <Empty>No run is waiting.</Empty>
              ) : (
                <Table
                  label="Waiting runs by workflow"
                  rows={rows}
                  columns={[
                    { title: "Workflow", cell: (row) => <Text value={text(row, "workflowId")} /> },
                    {
                      title: "Version",
                      cell: (row) => <Text value={text(row, "workflowVersion")} />,
                    },
                    { title: "Ready", isNumber: true, cell: (row) => count(number(row, "ready")) },
                    {
                      title: "Sleeping",
                      isNumber: true,
                      cell: (row) => count(number(row, "sleeping")),
                    },
                    {
                      title: "Oldest",
                      isNumber: true,
                      cell: (row) => duration(row["waitingMs"] as number | null),
                    },
                  ]}
                />
              )
            }
          </Load>
        </Card>
        <Card title="Workers">
          <Load from={workers}>
            {({ rows }) =>
              rows.length === 0 ? (
                <Empty>No worker holds a run.</Empty>
              ) : (
                <Table
                  label="Workers that hold runs"
                  rows={rows}
                  columns={[
                    { title: "Worker", cell: (row) => <Text mono value={text(row, "workerId")} /> },
                    { title: "Runs", isNumber: true, cell: (row) => count(number(row, "runs")) },
                    {
                      title: "Lease expired",
                      isNumber: true,
                      cell: (row) => count(number(row, "expired")),
                    },
                    {
                      title: "Since",
                      cell: (row) => time(row["heldSince"] as string | null),
                    },
                  ]}
                />
              )
            }
          </Load>
        </Card>
        <Card title="Slowest steps">
          <Load from={slowest}>
            {({ rows }) =>
              rows.length === 0 ? (
                <Empty>No step has ended in this period.</Empty>
              ) : (
                <Table
                  label="Slowest step executions"
                  rows={rows}
                  columns={[
                    { title: "Step", cell: (row) => <Text value={text(row, "stepId")} /> },
                    { title: "Workflow", cell: (row) => <Text value={text(row, "workflowId")} /> },
                    { title: "Run", cell: (row) => <RunLink runId={text(row, "runId")} /> },
                    {
                      title: "Took",
                      isNumber: true,
                      cell: (row) => duration(number(row, "durationMs")),
                    },
                  ]}
                />
              )
            }
          </Load>
        </Card>
        <Card title="Least reliable steps">
          <Load from={reliability}>{({ rows }) => <Unreliable rows={rows} />}</Load>
        </Card>
      </div>
      <Card title="Stuck runs">
        <Load from={stuck}>
          {({ rows }) =>
            rows.length === 0 ? (
              <Empty>Every running run is held by a worker and makes progress.</Empty>
            ) : (
              <Table
                label="Stuck runs"
                rows={rows}
                columns={[
                  { title: "Run", cell: (row) => <RunLink runId={text(row, "runId")} /> },
                  { title: "Workflow", cell: (row) => <Text value={text(row, "workflowId")} /> },
                  {
                    title: "Worker",
                    cell: (row) => <Text mono value={text(row, "workerId") || "–"} />,
                  },
                  {
                    title: "Lease until",
                    cell: (row) => time(row["leaseExpiresAt"] as string | null),
                  },
                  {
                    title: "Unchanged for",
                    isNumber: true,
                    cell: (row) => duration(number(row, "idleMs")),
                  },
                ]}
              />
            )
          }
        </Load>
      </Card>
    </>
  );
}

export const RunLink = ({ runId }: { readonly runId: string }) => (
  <a href={runAddress(runId)}>
    <Text mono value={runId} />
  </a>
);

function Throughput({ report, per }: { readonly report: Report; readonly per: string }) {
  if (report.rows.length === 0) return <Empty>Nothing happened in this period.</Empty>;
  const lines = [
    { column: "created", color: "series-1" },
    { column: "completed", color: "completed" },
    { column: "failed", color: "failed" },
    { column: "cancelled", color: "cancelled" },
  ].map(({ column, color }) => ({ label: column, color, values: sumsOf(report, column) }));
  return (
    <TimeChart
      label={`Runs per ${per}: created, completed, failed and cancelled`}
      times={report.times}
      series={lines}
      note={`Runs per ${per}, ${report.zone}`}
      format={(value) => count(value)}
    />
  );
}

function Unreliable({ rows }: { readonly rows: readonly ReportRow[] }) {
  const worst = rows
    .filter((row) => number(row, "failed") > 0 || number(row, "retries") > 0)
    .toSorted(
      (a, b) =>
        number(b, "failureRate") - number(a, "failureRate") ||
        number(b, "retries") - number(a, "retries"),
    )
    .slice(0, 8);
  if (worst.length === 0) return <Empty>No step failed or was retried in this period.</Empty>;
  return (
    <Table
      label="Least reliable steps"
      rows={worst}
      columns={[
        { title: "Step", cell: (row) => <Text value={text(row, "stepId")} /> },
        { title: "Workflow", cell: (row) => <Text value={text(row, "workflowId")} /> },
        { title: "Failed", isNumber: true, cell: (row) => share(number(row, "failureRate")) },
        { title: "Retries", isNumber: true, cell: (row) => count(number(row, "retries")) },
        { title: "Executions", isNumber: true, cell: (row) => count(number(row, "executions")) },
      ]}
    />
  );
}
