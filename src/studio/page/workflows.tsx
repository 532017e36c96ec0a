import { TimeChart } from "./chart.tsx";
import { useData } from "./data.ts";
import { count, duration, shown } from "./format.ts";
import { Description, labelsOf, Name, type WorkflowLabels } from "./labels.tsx";
import { addressOf, navigate } from "./navigation.ts";
import { Card, Empty, Load, Table, Text } from "./parts.tsx";
import { Pauses, type PausesAnswer } from "./pauses.tsx";
import { lastMsOf, PeriodChoice, periodOf, periods, type Period } from "./period.tsx";
import { number, text, useReport, valuesOf, type ReportRow } from "./report-data.ts";
import { columnsOf } from "./report-table.tsx";

export function Workflows({
  params,
  hasReports,
  labels,
  canChange,
}: {
  readonly params: URLSearchParams;
  readonly hasReports: boolean;
  readonly labels: readonly WorkflowLabels[];
  readonly canChange: boolean;
}) {
  const period = periodOf(params.get("period") ?? "30d");
  const workflow = params.get("workflow");
  const lastMs = lastMsOf(period);
  const versions = useReport(hasReports ? "versions" : null, { lastMs });
  const pauses = useData<PausesAnswer>("pauses");
  const known = [
    ...(versions.data?.rows.map((row) => text(row, "workflowId")) ?? []),
    ...labels.map(({ id }) => id),
  ];
  const go = (next: { period?: Period; workflow?: string }) =>
    navigate(addressOf("workflows", { period, workflow, ...next }), { replace: true });
  return (
    <>
      <div class="page-head">
        <h1>Workflows</h1>
        <PeriodChoice value={period} onChange={(next) => go({ period: next })} />
      </div>
      <Pauses from={pauses} workflows={[...new Set(known)].toSorted()} canChange={canChange} />
      {!hasReports && <Empty>This store has no SQLite database, so it has no reports.</Empty>}
      {hasReports && (
        <Load from={versions}>
          {({ rows }) => {
            const names = [...new Set(rows.map((row) => text(row, "workflowId")))];
            const chosen = workflow ?? busiestOf(rows);
            return rows.length === 0 ? (
              <Empty>No run was created in this period.</Empty>
            ) : (
              <>
                <Card title="Versions">
                  <Table
                    label="Versions of workflows"
                    rows={rows}
                    columns={versionColumns(rows, labels)}
                  />
                </Card>
                <label class="choice">
                  Workflow{" "}
                  <select
                    value={chosen}
                    onChange={({ currentTarget }) => go({ workflow: currentTarget.value })}
                  >
                    {names.map((name) => (
                      <option key={name} value={name}>
                        {shown(name)}
                      </option>
                    ))}
                  </select>
                </label>
                <Description of={labels.findLast(({ id }) => id === chosen)} />
                <WorkflowCards workflow={chosen} lastMs={lastMs} per={periods[period].per} />
              </>
            );
          }}
        </Load>
      )}
    </>
  );
}

/** The workflow with the most runs. */
function busiestOf(rows: readonly ReportRow[]): string {
  const runs = new Map<string, number>();
  for (const row of rows) {
    const name = text(row, "workflowId");
    runs.set(name, (runs.get(name) ?? 0) + number(row, "runs"));
  }
  return [...runs].reduce((most, each) => (each[1] > most[1] ? each : most), ["", -1])[0];
}

const versionColumns = (rows: readonly ReportRow[], labels: readonly WorkflowLabels[]) => [
  {
    title: "Workflow",
    cell: (row: ReportRow) => (
      <a href={addressOf("runs", { workflow: text(row, "workflowId") })}>
        <Text value={text(row, "workflowId")} />
        <Name of={labelsOf(labels, text(row, "workflowId"), text(row, "workflowVersion"))} />
      </a>
    ),
  },
  ...columnsOf(rows, {
    workflowVersion: "Version",
    runs: "Runs",
    pending: "Pending",
    running: "Running",
    completed: "Completed",
    failed: "Failed",
    cancelled: "Cancelled",
    failureRate: "Failure rate",
    p50Ms: "p50",
    p95Ms: "p95",
    lastAt: "Last run",
  }),
];

function WorkflowCards({
  workflow,
  lastMs,
  per,
}: {
  readonly workflow: string;
  readonly lastMs: string | null;
  readonly per: string;
}) {
  const durations = useReport("durations", { lastMs, per, workflow });
  const funnel = useReport("funnel", { lastMs, workflow });
  return (
    <>
      <Card title="Durations over time">
        <Load from={durations}>
          {(report) => {
            if (report.rows.length === 0) return <Empty>No run has ended in this period.</Empty>;
            const line = (column: string, color: string) => ({
              label: column.slice(0, -"Ms".length),
              color,
              values: valuesOf(report, column),
            });
            return (
              <TimeChart
                label={`Durations of the runs per ${per}, as percentiles`}
                times={report.times}
                note={`Percentiles per ${per}, ${report.zone}`}
                series={[
                  line("p50Ms", "series-1"),
                  line("p95Ms", "series-2"),
                  line("maxMs", "series-3"),
                ]}
                format={duration}
              />
            );
          }}
        </Load>
      </Card>
      <Card title="Where runs stop">
        <Load from={funnel}>
          {({ rows }) =>
            rows.length === 0 ? (
              <Empty>No run has reached a step in this period.</Empty>
            ) : (
              <Table
                label="Steps in their order, with the runs that reached them"
                rows={rows}
                columns={[
                  { title: "Step", cell: (row) => <Text value={text(row, "stepId")} /> },
                  {
                    title: "Reached",
                    cell: (row) => (
                      <span class="bar-track wide">
                        <span
                          class="bar"
                          style={{
                            width: `${(number(row, "reached") / Math.max(1, ...rows.map((each) => number(each, "reached")))) * 100}%`,
                          }}
                        />
                        <span class="bar-text">{count(number(row, "reached"))}</span>
                      </span>
                    ),
                  },
                  ...columnsOf(rows, {
                    completed: "Completed",
                    skipped: "Skipped",
                    failed: "Failed",
                    stopped: "Stopped",
                  }),
                ]}
              />
            )
          }
        </Load>
      </Card>
    </>
  );
}
