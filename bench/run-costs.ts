/**
 * What a run of 4 steps costs on a server that bills by rows: rows read, rows written, bytes and round trips, and
 * from that what a month costs. From the root: `npx tsx bench/run-costs.ts`. Its tables are those of docs/backends.md.
 */
import { Engine, LibSQLStore } from "../src/index.ts";
import { startProxy } from "../test/support/loopback-proxy.ts";
import { freePort, startSqld } from "../test/support/sqld.ts";
import { chainOf, input } from "./chain.ts";
import { expectRows } from "./section.ts";
import { table } from "./results-text.ts";

const runs = 200;
const older = 2000;

const adminPort = await freePort();
const server = await startSqld({ args: ["--admin-listen-addr", `127.0.0.1:${adminPort}`] });
const link = await startProxy(server.port);
// At a distance, an engine's polling and its writes do not share a round trip by chance.
link.latencyMs = 20;
const store = await LibSQLStore.open(server.httpUrl);

interface Cost {
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly bytes: number;
  readonly roundTrips: number;
}

async function meter(): Promise<Cost> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/v1/namespaces/default/stats`);
  const stats = (await response.json()) as { rows_read_count: number; rows_written_count: number };
  const pages = await store.db.$client.execute(
    "select page_count * page_size from pragma_page_count, pragma_page_size",
  );
  return {
    rowsRead: stats.rows_read_count,
    rowsWritten: stats.rows_written_count,
    bytes: Number(pages.rows[0]?.[0]),
    roundTrips: link.roundTrips,
  };
}

/** What `work` costs, per time that it does something. */
async function costOf(times: number, work: () => Promise<unknown>): Promise<Cost> {
  const before = await meter();
  await work();
  const after = await meter();
  const each = (name: keyof Cost) => (after[name] - before[name]) / times;
  return {
    rowsRead: each("rowsRead"),
    rowsWritten: each("rowsWritten"),
    bytes: each("bytes"),
    roundTrips: each("roundTrips"),
  };
}

/** Runs of so many steps, one after the other, through an engine that polls as every engine does. */
async function runThrough(url: string, steps: number, times: number): Promise<void> {
  const there = await LibSQLStore.open({ url, migrate: false });
  const engine = new Engine(there);
  const workflow = chainOf(steps);
  for (let time = 0; time < times; time++) {
    const { status } = await engine.run(workflow, input);
    if (status !== "COMPLETED") throw new Error(`a run is ${status}`);
  }
  await engine.close();
  await there.close();
}

async function storeOlder(): Promise<void> {
  const outcomes = Array.from({ length: older }, () =>
    store.createRun({ workflowId: "older", status: "COMPLETED", input, output: input }),
  );
  await Promise.all(outcomes);
}

const rows: [string, Cost][] = [];
const onEmpty = await costOf(runs, () => runThrough(server.httpUrl, 4, runs));
rows.push(["run of 4 steps, among few others", onEmpty]);
await storeOlder();
const run = await costOf(runs, () => runThrough(server.httpUrl, 4, runs));
rows.push([`run of 4 steps, after ${older + runs} others`, run]);
const [four, eight] = [
  await costOf(20, () => runThrough(link.httpUrl, 4, 20)),
  await costOf(20, () => runThrough(link.httpUrl, 8, 20)),
];
rows.push(["run of 4 steps, 20 ms away", four]);
const perStep = (name: keyof Cost) => (eight[name] - four[name]) / 4;
rows.push([
  "each further step, 20 ms away",
  {
    rowsRead: perStep("rowsRead"),
    rowsWritten: perStep("rowsWritten"),
    bytes: perStep("bytes"),
    roundTrips: perStep("roundTrips"),
  },
]);
const {
  runs: [some],
} = await store.listRuns({ limit: 1 });
const runId = some?.runId ?? "";
const reads = 20;
const repeat = async (work: () => Promise<unknown>) => {
  for (let time = 0; time < reads; time++) await work();
};
rows.push([
  "createRun",
  await costOf(reads, () => repeat(() => store.createRun({ workflowId: "w", input }))),
]);
rows.push(["getRun", await costOf(reads, () => repeat(() => store.getRun(runId)))]);
rows.push([
  "listRuns, 100",
  await costOf(reads, () => repeat(() => store.listRuns({ limit: 100 }))),
]);
rows.push(["countRuns", await costOf(reads, () => repeat(() => store.countRuns()))]);
const claim = {
  workerId: "idle",
  leaseMs: 1000,
  limit: 10,
  workflows: [{ workflowId: "nothing", workflowVersion: "1" }],
};
rows.push([
  "a look of a worker that finds nothing",
  await costOf(reads, () => repeat(() => store.claimRuns(claim))),
]);
const open = async () => {
  const opened = await LibSQLStore.open({ url: link.httpUrl, migrate: false });
  await opened.close();
};
rows.push(["open, `migrate: false`", await costOf(reads, () => repeat(open))]);
rows.push(["deleteRun, of 4 steps", await costOf(reads, deleteSome)]);

async function deleteSome(): Promise<void> {
  const { runs: found } = await store.listRuns({ workflowId: "chain-4", limit: reads });
  for (const { runId: id } of found) await store.deleteRun(id);
}

const counts = await store.countRuns();
expectRows("runs that completed", counts.COMPLETED, 2 * runs + 2 * 20 + older - reads);
await store.close();
await link.close();
await server.stop();

const shown = (value: number) => value.toFixed(value % 1 === 0 ? 0 : 1);
const costHeader = ["", "rows read", "rows written", "bytes", "round trips"];
const atLink = (name: string) => name.includes("20 ms") || name.startsWith("open");
console.log(
  table(
    costHeader,
    rows.map(([name, { rowsRead, rowsWritten, bytes, roundTrips }]) => [
      name,
      shown(rowsRead),
      shown(rowsWritten),
      bytes > 0 ? Math.round(bytes).toString() : "",
      atLink(name) ? shown(roundTrips) : "",
    ]),
  ),
);

const large = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
console.log(
  `\n${table(
    ["runs of 4 steps in a month", "rows read", "rows written", "growth, when nothing is deleted"],
    [10_000, 100_000, 1_000_000].map((monthly) => [
      large.format(monthly),
      large.format(monthly * run.rowsRead),
      large.format(monthly * run.rowsWritten),
      `${large.format((monthly * run.bytes) / 1e6)} MB`,
    ]),
  )}`,
);
