import { monitorEventLoopDelay } from "node:perf_hooks";
import { LibSQLStore, type WorkflowDatabase } from "../../dist/index.js";
import * as reports from "../../dist/reports/index.js";
import { historyEnd, makeHistory } from "../history.ts";
import { expectRows, rounded, type Section, type Target } from "../section.ts";
import { newFile } from "../subjects.ts";
import { Database } from "../libsql.ts";

const sizes = [10_000, 100_000, 1_000_000];
const lastDay = { since: new Date(historyEnd - 24 * 3_600_000) };
/** These read the index of steps. */
const readsSteps = new Set([
  "stepDurations",
  "stepReliability",
  "reliabilityOverTime",
  "slowestSteps",
]);
/** These only make sense as a page. */
const pages = new Set(["slowestSteps", "stuckRuns", "oldestPending"]);

type Report = (
  db: WorkflowDatabase,
  options?: { readonly since: Date },
) => PromiseLike<readonly unknown[]> & { limit(rows: number): PromiseLike<readonly unknown[]> };

/** Milliseconds of the query, the best of up to three, and the longest hold of the event loop meanwhile. */
async function measureQuery(query: () => PromiseLike<unknown>) {
  const times: number[] = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  do {
    const before = performance.now();
    await query();
    times.push(performance.now() - before);
  } while (times.length < 3 && (times[0] ?? 0) < 2000);
  delay.disable();
  return { ms: Math.min(...times), holdMs: delay.max / 1e6 };
}

/** Milliseconds that the bare binding takes to read every row of the index that the reports on steps use. */
function scanOfSteps(path: string): number {
  const database = new Database(path);
  const scan = database.prepare(
    "select count(*), max(step_id), max(duration_ms) from step_executions where completed_at is not null",
  );
  scan.get();
  const before = performance.now();
  scan.get();
  const ms = performance.now() - before;
  database.close();
  return ms;
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
    const scanMs = scanOfSteps(path);
    const size = `${runs.toLocaleString("en")} runs`;
    rows.push([`${size}: scan of the index of steps`, rounded(scanMs), "", ""]);
    for (const [name, report] of Object.entries(reports) as unknown as [string, Report][]) {
      const ask = (options?: { readonly since: Date }) => () => {
        const query = report(store.reporting, options);
        return pages.has(name) ? query.limit(20) : query;
      };
      const all = await measureQuery(ask());
      const day = await measureQuery(ask(lastDay));
      rows.push([
        `${size}: ${name}`,
        rounded(all.ms),
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
        if (readsSteps.has(name)) {
          targets.push({
            what: `${name}, all of a million runs, against the scan of the index of steps`,
            bound: "at most",
            value: 3,
            unit: "×",
            measured: all.ms / scanMs,
          });
        }
      }
    }
    await store.close();
  }
  return {
    title: "Reports",
    how: `A year of runs of four steps with skewed durations, retries and several versions, read by \`store.reporting\`. The best of up to three queries; pages of 20 for ${[...pages].join(", ")}.`,
    header: ["report", "all, ms", "the last day, ms", "longest hold of the event loop, ms"],
    rows,
    targets,
  };
}
