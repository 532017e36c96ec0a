import { monitorEventLoopDelay } from "node:perf_hooks";
import { defineStep, defineWorkflow, Engine, LibSQLStore } from "../../dist/index.js";
import type { WorkflowDatabase } from "../../dist/index.js";
import * as reports from "../../dist/reports/index.js";
import { z } from "zod";
import { historyEnd, makeHistory } from "../history.ts";
import { expectRows, rounded, type Section, type Target } from "../section.ts";
import { newFile } from "../subjects.ts";
import { Database } from "../libsql.ts";

const sizes = [10_000, 100_000, 1_000_000];
const dayMs = 24 * 3_600_000;
/** The runs of the last two days have not started. */
const oneDay = {
  since: new Date(historyEnd - 3 * dayMs),
  until: new Date(historyEnd - 2 * dayMs),
};

/**
 * Each reads once, from every row of the smallest index or table that has them, the columns that a report needs: also the
 * ids by which the report groups or joins, and the status that it filters by.
 */
const scans = {
  "the index of steps":
    "select max(workflow_id), max(step_id), max(status), max(duration_ms) from step_executions where completed_at is not null",
  "the rows of steps":
    "select count(*), max(status), max(execution_index) from step_executions not indexed",
  "the index of runs by workflow":
    "select max(workflow_id), max(created_at), max(started_at) from workflow_runs indexed by workflow_runs_workflow_idx",
  "the index of ended runs":
    "select max(workflow_id), max(status), max(started_at), max(completed_at) from workflow_runs indexed by workflow_runs_completed_at_idx where completed_at is not null",
  "the index of ended runs by workflow":
    "select max(workflow_id), max(status), max(started_at), max(completed_at) from workflow_runs indexed by workflow_runs_ended_idx where completed_at is not null",
  "the rows of runs":
    "select max(workflow_id), max(workflow_version), max(status), max(created_at), max(started_at), max(completed_at) from workflow_runs not indexed",
  "the ids and sizes in all tables": `select
    (select json_array(max(run_id), max(workflow_id), sum(octet_length(input)), sum(octet_length(output)),
      sum(octet_length(error)), sum(octet_length(context)), sum(octet_length(tags))) from workflow_runs not indexed),
    (select json_array(max(run_id), sum(octet_length(input)), sum(octet_length(input_from)), sum(octet_length(error)))
      from step_executions not indexed),
    (select json_array(max(run_id), sum(octet_length(error))) from step_attempts not indexed),
    (select json_array(max(run_id), sum(octet_length(output))) from step_outputs not indexed),
    (select json_array(max(run_id), sum(octet_length(value))) from workflow_state not indexed)`,
};
type Scan = keyof typeof scans;
/** The indexes and tables that a report reads as a whole. */
const readBy: Partial<Record<string, readonly Scan[]>> = {
  stepDurations: ["the index of steps"],
  stepReliability: ["the index of steps"],
  reliabilityOverTime: ["the index of steps"],
  slowestSteps: ["the index of steps"],
  stepErrorCodes: ["the index of steps"],
  stepFunnel: ["the index of steps", "the rows of steps"],
  runDurations: ["the index of ended runs"],
  queueLatency: ["the index of runs by workflow"],
  durationsOverTime: ["the index of ended runs by workflow"],
  throughput: ["the index of runs by workflow", "the index of ended runs"],
  workflowVersions: ["the rows of runs"],
  storage: ["the ids and sizes in all tables"],
};
/** These only make sense as a page. */
const pages = new Set(["slowestSteps", "stuckRuns", "oldestPending"]);

type Report = (
  db: WorkflowDatabase,
  options?: { readonly since: Date; readonly until: Date },
) => PromiseLike<readonly unknown[]> & { limit(rows: number): PromiseLike<readonly unknown[]> };

/** Milliseconds of the query and of the processors, the best of up to three, and the longest hold of the event loop. */
async function measureQuery(query: () => unknown) {
  const [times, cpuTimes]: [number[], number[]] = [[], []];
  do {
    const [before, cpuBefore] = [performance.now(), process.cpuUsage()];
    await query();
    times.push(performance.now() - before);
    const { user, system } = process.cpuUsage(cpuBefore);
    cpuTimes.push((user + system) / 1000);
  } while (times.length < 3 && (times[0] ?? 0) < 2000);
  // To look at the event loop each millisecond takes processor time itself.
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await query();
  delay.disable();
  return { ms: Math.min(...times), cpuMs: Math.min(...cpuTimes), holdMs: delay.max / 1e6 };
}

async function measureScans(path: string, names: readonly Scan[]): Promise<Map<Scan, number>> {
  const database = new Database(path);
  const found = new Map<Scan, number>();
  for (const name of names) {
    const statement = database.prepare(scans[name]);
    statement.get();
    found.set(name, (await measureQuery(() => statement.get())).cpuMs);
  }
  database.close();
  return found;
}

/** Processor times change with the load of the machine, so scans are measured before and after the report. */
function sumOfBest(before: Map<Scan, number>, after: Map<Scan, number>): number {
  return [...before].reduce((sum, [name, ms]) => sum + Math.min(ms, after.get(name) ?? ms), 0);
}

const workflow = defineWorkflow({ id: "beside-reports", version: "1" })
  .step(defineStep({ id: "a", input: z.number(), output: z.number(), run: (value) => value + 1 }))
  .step(defineStep({ id: "b", input: z.number(), output: z.number(), run: (value) => value + 1 }))
  .build();

function inSeconds(seconds: number): () => boolean {
  const end = performance.now() + seconds * 1000;
  return () => performance.now() > end;
}

/** Runs per second of an engine alone and beside a report that is repeated, and the longest hold of its event loop. */
async function measureEngine(store: LibSQLStore) {
  const engine = new Engine(store, { concurrency: 4 });
  engine.register(workflow);
  const complete = async (until: () => boolean) => {
    const before = performance.now();
    let runs = 0;
    const worker = async () => {
      while (!until()) {
        await engine.wait(await engine.start(workflow, 1));
        runs += 1;
      }
    };
    await Promise.all([worker(), worker(), worker(), worker()]);
    return (runs / (performance.now() - before)) * 1000;
  };
  await complete(inSeconds(2));
  const alone = await complete(inSeconds(10));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const [isOver, reported] = [inSeconds(10), { all: false }];
  const report = async () => {
    while (!isOver()) await reports.stepDurations(store.reporting);
    reported.all = true;
  };
  const [beside] = await Promise.all([complete(() => reported.all), report()]);
  delay.disable();
  const rows = await store.db.all<{ lost: number }>(
    "select total(lost_leases) as lost from workflow_runs where workflow_id = 'beside-reports'",
  );
  await engine.close();
  return { alone, beside, holdMs: delay.max / 1e6, lost: rows[0]?.lost ?? Number.NaN };
}

export async function run(): Promise<Section> {
  const rows: string[][] = [];
  const targets: Target[] = [];
  for (const runs of sizes) {
    const path = newFile("history");
    await makeHistory(path, runs);
    const store = await LibSQLStore.open({ url: `file:${path}` });
    const counts = Object.values(await store.countRuns());
    expectRows(
      "runs",
      counts.reduce((sum, count) => sum + count, 0),
      runs,
    );
    const scanned = await measureScans(path, Object.keys(scans) as Scan[]);
    const size = `${runs.toLocaleString("en")} runs`;
    for (const [name, cpuMs] of scanned) {
      rows.push([`${size}: scan of ${name}`, "", rounded(cpuMs), "", "", ""]);
    }
    for (const [name, report] of Object.entries(reports) as unknown as [string, Report][]) {
      const ask = (options?: typeof oneDay) => () => {
        const query = report(store.reporting, options);
        return pages.has(name) ? query.limit(20) : query;
      };
      const read = readBy[name];
      const before = await measureScans(path, read ?? []);
      const all = await measureQuery(ask());
      const after = await measureScans(path, read ?? []);
      const day = await measureQuery(ask(oneDay));
      const ratio = read && all.cpuMs / sumOfBest(before, after);
      rows.push([
        `${size}: ${name}`,
        rounded(all.ms),
        rounded(all.cpuMs),
        ratio === undefined ? "" : `${ratio.toFixed(2)}×`,
        rounded(day.ms),
        rounded(Math.max(all.holdMs, day.holdMs)),
      ]);
      if (runs === sizes.at(-1)) {
        const limit = pages.has(name) ? 20 : 200;
        targets.push({
          what: `${name}, one day of a million runs`,
          bound: "at most",
          value: limit,
          unit: "ms",
          measured: day.ms,
        });
        if (read !== undefined && ratio !== undefined) {
          targets.push({
            what: `${name}, all of a million runs, processor time against the scan of ${read.join(" and ")}`,
            bound: "at most",
            value: 3,
            unit: "×",
            measured: ratio,
          });
        }
      }
    }
    if (runs === sizes.at(-1)) {
      const { alone, beside, holdMs, lost } = await measureEngine(store);
      expectRows("leases", lost, 0);
      rows.push([
        `an engine alone: ${rounded(alone)} runs/s; beside stepDurations: ${rounded(beside)} runs/s`,
        "",
        "",
        "",
        "",
        rounded(holdMs),
      ]);
      targets.push({
        what: "the runs per second of an engine beside a report, against those without",
        bound: "at least",
        value: 0.8,
        unit: "×",
        measured: beside / alone,
      });
    }
    await store.close();
  }
  return {
    title: "Reports",
    how: `A year of runs of four steps with skewed durations, retries and several versions, read by \`store.reporting\` of a store with the default durability. The best of up to three queries. "ms" and the hold are by the clock; "ms of processors" is the processor time of the process, and so are the scans, by the bare binding. The ratio compares a report with scans just before and after it, by the best of these. Pages of 20 for ${[...pages].join(", ")}.`,
    header: [
      "report",
      "all, ms",
      "all, ms of processors",
      "against the scan",
      "one day, ms",
      "longest hold of the event loop, ms",
    ],
    rows,
    targets,
  };
}
