import { useState } from "preact/hooks";
import { TimeChart } from "./chart.tsx";
import { useData } from "./data.ts";
import { count } from "./format.ts";
import { addressOf } from "./navigation.ts";
import { Card, Empty, Load, Status, Table } from "./parts.tsx";
import { lastMsOf, PeriodChoice, periods, type Period } from "./period.tsx";
import { number, sumsOf, useReport, type Report, type ReportRow } from "./report-data.ts";
import { columnsOf, ReportCard } from "./report-table.tsx";

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
        <ReportCard
          title="Queue"
          report={queue}
          empty="No run is waiting."
          titles={{
            workflowId: "Workflow",
            workflowVersion: "Version",
            ready: "Ready",
            sleeping: "Sleeping",
            waitingMs: "Oldest",
          }}
        />
        <ReportCard
          title="Workers"
          report={workers}
          empty="No worker holds a run."
          titles={{
            workerId: "Worker",
            runs: "Runs",
            expired: "Lease expired",
            oldestStartedAt: "Since",
          }}
        />
        <ReportCard
          title="Slowest steps"
          report={slowest}
          empty="No step has ended in this period."
          titles={{ stepId: "Step", workflowId: "Workflow", runId: "Run", durationMs: "Took" }}
        />
        <Card title="Least reliable steps">
          <Load from={reliability}>{({ rows }) => <Unreliable rows={rows} />}</Load>
        </Card>
      </div>
      <ReportCard
        title="Stuck runs"
        report={stuck}
        empty="Every running run is held by a worker and makes progress."
        titles={{
          runId: "Run",
          workflowId: "Workflow",
          workerId: "Worker",
          leaseExpiresAt: "Lease until",
          idleMs: "Unchanged for",
        }}
      />
    </>
  );
}

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
      columns={columnsOf(worst, {
        stepId: "Step",
        workflowId: "Workflow",
        failureRate: "Failed",
        retries: "Retries",
        executions: "Executions",
      })}
    />
  );
}
