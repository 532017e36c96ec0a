import { Bars, TimeChart } from "./chart.tsx";
import { count, duration, heading, reportValue, share } from "./format.ts";
import { addressOf, fieldOf, navigate } from "./navigation.ts";
import { Card, Empty, Load, Table } from "./parts.tsx";
import { lastMsOf, PeriodChoice, periodOf } from "./period.tsx";
import { linesOf, reportAddress, sumsOf, useReport, type Report } from "./report-data.ts";
import { columnsOf } from "./report-table.tsx";

interface ReportKind {
  readonly title: string;
  /** The column that the chart shows. */
  readonly chart: string;
  /** The columns that name a bar; null for a report over time. */
  readonly names: readonly string[] | null;
  /** Lines that are summed over all workflows, instead of one line per workflow. */
  readonly sums?: readonly string[];
  /** True for a report about the present. A period would leave out the oldest runs. */
  readonly isPresent?: boolean;
}

const workflow = ["workflowId"];
const step = ["workflowId", "stepId"];

const kinds: Readonly<Record<string, ReportKind>> = {
  throughput: {
    title: "Throughput",
    chart: "created",
    names: null,
    sums: ["created", "completed", "failed", "cancelled"],
  },
  durations: { title: "Durations over time (p95)", chart: "p95Ms", names: null },
  retries: {
    title: "Retries over time",
    chart: "retries",
    names: null,
    sums: ["failed", "retries"],
  },
  runs: { title: "Durations of runs", chart: "p95Ms", names: workflow },
  latency: { title: "Time in the queue", chart: "p95Ms", names: workflow },
  versions: { title: "Versions", chart: "runs", names: ["workflowId", "workflowVersion"] },
  steps: { title: "Durations of steps", chart: "p95Ms", names: step },
  reliability: { title: "Reliability of steps", chart: "failureRate", names: step },
  funnel: { title: "Where runs stop", chart: "reached", names: step },
  slowest: { title: "Slowest step executions", chart: "durationMs", names: ["stepId", "runId"] },
  errors: { title: "Errors of runs", chart: "runs", names: ["workflowId", "name", "code"] },
  "step-errors": {
    title: "Errors of steps",
    chart: "executions",
    names: ["stepId", "name", "code"],
  },
  stuck: { title: "Stuck runs", chart: "idleMs", names: ["runId"], isPresent: true },
  pending: { title: "Oldest waiting runs", chart: "waitingMs", names: ["runId"], isPresent: true },
  queue: {
    title: "Queue",
    chart: "ready",
    names: ["workflowId", "workflowVersion"],
    isPresent: true,
  },
  workers: { title: "Workers", chart: "runs", names: ["workerId"], isPresent: true },
  storage: { title: "Storage", chart: "totalBytes", names: workflow },
};

const mostCsvRows = 10_000;

/** Bars of a chart. The table has all rows. */
const mostBars = 15;

export function Reports({
  params,
  hasReports,
}: {
  readonly params: URLSearchParams;
  readonly hasReports: boolean;
}) {
  const asked = params.get("name") ?? "throughput";
  const name = Object.hasOwn(kinds, asked) ? asked : "throughput";
  const kind = kinds[name] as ReportKind;
  const period = periodOf(params.get("period"));
  const per = params.get("per") ?? "hour";
  const workflowId = params.get("workflow") ?? "";
  const given = {
    ...(kind.isPresent !== true && { lastMs: lastMsOf(period) }),
    workflow: workflowId,
    ...(kind.names === null && { per }),
  };
  const report = useReport(hasReports ? name : null, given, "once");
  const go = (next: Readonly<Record<string, string>>) =>
    navigate(addressOf("reports", { name, period, per, workflow: workflowId, ...next }), {
      replace: true,
    });
  return (
    <>
      <div class="page-head">
        <h1>Reports</h1>
      </div>
      {!hasReports && <Empty>This store has no SQLite database, so it has no reports.</Empty>}
      {hasReports && (
        <>
          <form
            class="filters"
            aria-label="Choose a report"
            onSubmit={(event) => {
              event.preventDefault();
              const next = fieldOf(new FormData(event.currentTarget), "workflow");
              if (next === workflowId) report.reload();
              else go({ workflow: next });
            }}
          >
            <label>
              Report{" "}
              <select
                value={name}
                onChange={({ currentTarget }) => go({ name: currentTarget.value })}
              >
                {Object.entries(kinds).map(([each, { title }]) => (
                  <option key={each} value={each}>
                    {title}
                  </option>
                ))}
              </select>
            </label>
            {kind.isPresent !== true && (
              <PeriodChoice value={period} onChange={(next) => go({ period: next })} />
            )}
            {kind.names === null && (
              <label>
                Per{" "}
                <select
                  value={per}
                  onChange={({ currentTarget }) => go({ per: currentTarget.value })}
                >
                  {["hour", "day", "week", "month"].map((each) => (
                    <option key={each} value={each}>
                      {each}
                    </option>
                  ))}
                </select>
              </label>
            )}
            <label>
              Workflow
              <input name="workflow" defaultValue={workflowId} />
            </label>
            <button class="primary">Show</button>
            <a
              href={`api/${reportAddress(name, { ...given, limit: String(mostCsvRows) }, "report.csv")}`}
              download
            >
              CSV
            </a>
          </form>
          <Card title={kind.title}>
            <Load from={report}>
              {(answer) =>
                answer.rows.length === 0 ? (
                  <Empty>Nothing to report.</Empty>
                ) : (
                  <>
                    {kind.names !== null && answer.rows.length >= answer.limit && (
                      <p class="muted">
                        These are the first {count(answer.limit)} rows. The CSV has{" "}
                        {count(mostCsvRows)} at most.
                      </p>
                    )}
                    <ReportChart kind={kind} report={answer} per={per} />
                    <Table
                      label={kind.title}
                      rows={answer.rows}
                      columns={columnsOf(
                        answer.rows,
                        Object.fromEntries(
                          Object.keys(answer.rows[0] ?? {}).map((each) => [each, heading(each)]),
                        ),
                      )}
                    />
                  </>
                )
              }
            </Load>
          </Card>
        </>
      )}
    </>
  );
}

const formatOf = (column: string) =>
  column.endsWith("Ms")
    ? duration
    : column.endsWith("Rate")
      ? share
      : (value: number) => reportValue(column, value);

function ReportChart({
  kind: { title, chart, names, sums },
  report,
  per,
}: {
  readonly kind: ReportKind;
  readonly report: Report;
  readonly per: string;
}) {
  const { rows } = report;
  if (names === null) {
    const colors: Readonly<Record<string, string>> = {
      completed: "completed",
      failed: "failed",
      cancelled: "cancelled",
      retries: "series-2",
    };
    const { series, workflows } =
      sums === undefined
        ? linesOf(report, chart)
        : {
            series: sums.map((column) => ({
              label: column,
              color: colors[column] ?? "series-1",
              values: sumsOf(report, column),
            })),
            workflows: 0,
          };
    const cut =
      workflows > series.length
        ? `. The ${series.length} of ${count(workflows)} workflows with the most runs`
        : "";
    return (
      <TimeChart
        label={`${title} per ${per}`}
        times={report.times}
        series={series}
        note={`Per ${per}, ${report.zone}${cut}`}
        format={formatOf(chart)}
      />
    );
  }
  const bars = rows
    .map((row) => ({
      name: names.flatMap((name) => row[name] ?? []).join(" · "),
      value: Number(row[chart] ?? 0),
    }))
    .toSorted((a, b) => b.value - a.value)
    .slice(0, mostBars);
  return (
    <>
      <p class="muted">
        {heading(chart)}
        {rows.length > mostBars && `, the ${mostBars} largest of the `}
        {rows.length > mostBars && rows.length >= report.limit && "first "}
        {rows.length > mostBars && `${count(rows.length)} rows`}
      </p>
      <Bars label={`${title} by ${heading(chart)}`} rows={bars} format={formatOf(chart)} />
    </>
  );
}
