/**
 * The same work on each kind of backend, and over a link with 20 ms round trip; round trips are counted by a proxy.
 * From the root: `npx tsx bench/backends.ts`, about a minute. Its tables are those of docs/backends.md.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Engine, LibSQLStore, MemoryStore, type WorkflowStore } from "../src/index.ts";
import { startProxy, type LoopbackProxy } from "../test/support/loopback-proxy.ts";
import { startSqld } from "../test/support/sqld.ts";
import { chainOf, input } from "./chain.ts";
import { expectRows, rounded } from "./section.ts";
import { table } from "./results-text.ts";

const linkMs = 20;
const atOnce = 100;

interface Backend {
  readonly name: string;
  readonly store: WorkflowStore;
  /** How often each piece of work is done. */
  readonly times: number;
  readonly proxy: LoopbackProxy | null;
}

interface Work {
  readonly name: string;
  /** Operations that are under way at once. */
  readonly width: number;
  /** What part of the backend's times it is done. */
  readonly share: number;
  readonly run: (store: WorkflowStore) => Promise<unknown>;
}

interface Timing {
  readonly milliseconds: readonly number[];
  readonly perSecond: number;
  /** At most, for all that is under way at once; null without a proxy. */
  readonly roundTrips: number | null;
}

const workflow = chainOf(4);
let created = 0;
const create = async (store: WorkflowStore) => {
  await store.createRun({ workflowId: "stored", input });
  created += 1;
};
const someRun = "some-run";

const works: readonly Work[] = [
  { name: "createRun", width: 1, share: 1, run: create },
  { name: `createRun, ${atOnce} at once`, width: atOnce, share: 0.1, run: create },
  { name: "getRun", width: 1, share: 1, run: (store) => store.getRun(someRun) },
  { name: "listRuns, 100", width: 1, share: 0.5, run: listHundred },
  { name: "step transition", width: 1, share: 0.5, run: passStep },
];

async function listHundred(store: WorkflowStore): Promise<void> {
  const { runs } = await store.listRuns({ limit: 100 });
  expectRows("a page", runs.length, 100);
}

/** A step begins, ends, and leaves its output and the run's progress: all in one batch. */
async function passStep(store: WorkflowStore): Promise<void> {
  const stepId = `step-${String((passed += 1))}`;
  await store.batch((write) => {
    write.createStepExecution({ runId: someRun, stepId, status: "RUNNING" });
    write.saveStepOutput(someRun, stepId, input);
    write.updateStepExecution(someRun, stepId, { status: "COMPLETED" });
    write.updateRun(someRun, { progress: 0.5 });
  });
}
let passed = 0;

async function timed(
  { width, share, run }: Work,
  { store, times, proxy }: Backend,
): Promise<Timing> {
  const milliseconds: number[] = [];
  let tookMs = 0;
  let roundTrips = 0;
  const one = async () => {
    const before = performance.now();
    await run(store);
    milliseconds.push(performance.now() - before);
  };
  for (let round = 0; round < times * share; round++) {
    const before = performance.now();
    const tripsBefore = proxy?.roundTrips ?? 0;
    await Promise.all(Array.from({ length: width }, one));
    tookMs += performance.now() - before;
    roundTrips = Math.max(roundTrips, (proxy?.roundTrips ?? 0) - tripsBefore);
  }
  return {
    milliseconds: milliseconds.toSorted((a, b) => a - b),
    perSecond: (milliseconds.length * 1000) / tookMs,
    roundTrips: proxy === null ? null : roundTrips,
  };
}

/** Runs of a workflow, one after the other, on one engine. */
async function timedRuns(backend: Backend): Promise<Timing> {
  const engine = new Engine(backend.store);
  const run = async () => {
    const { status } = await engine.run(workflow, input);
    if (status !== "COMPLETED") throw new Error(`a run is ${status}`);
    created += 1;
  };
  await run();
  const work = { name: "", width: 1, share: 0.2, run };
  try {
    return await timed(work, backend);
  } finally {
    await engine.close();
  }
}

async function measure(backend: Backend): Promise<string[][]> {
  const { name, store } = backend;
  created = 1;
  await store.createRun({ runId: someRun, workflowId: "stored", status: "RUNNING", input });
  for (let warmUp = 0; warmUp < 100; warmUp++) await create(store);
  const rows: string[][] = [];
  for (const work of works) rows.push([work.name, name, ...cells(await timed(work, backend))]);
  rows.push(["run of 4 steps", name, ...cells(await timedRuns(backend))]);
  const counts = await store.countRuns();
  expectRows(
    name,
    Object.values(counts).reduce((sum, count) => sum + count, 0),
    created,
  );
  return rows;
}

function cells({ milliseconds, perSecond, roundTrips }: Timing): string[] {
  const at = (share: number) => milliseconds[Math.floor(milliseconds.length * share)] ?? Number.NaN;
  return [rounded(at(0.5)), rounded(at(0.99)), rounded(perSecond), String(roundTrips ?? "")];
}

const folder = await mkdtemp(join(tmpdir(), "gorkflow-bench-"));
const server = await startSqld();
const link = await startProxy(server.port);
link.latencyMs = linkMs;

const file = (durability: "full" | "normal") =>
  LibSQLStore.open({ url: `file:${join(folder, `${durability}.db`)}`, durability });
const backends: readonly [name: string, times: number, open: () => Promise<WorkflowStore>][] = [
  ["memory", 500, async () => new MemoryStore()],
  ["file, full", 500, () => file("full")],
  ["file, normal", 500, () => file("normal")],
  ["sqld, HTTP", 200, () => LibSQLStore.open(server.httpUrl)],
  ["sqld, WebSocket", 200, () => LibSQLStore.open(server.webSocketUrl)],
  [`sqld, HTTP, ${linkMs} ms`, 50, () => LibSQLStore.open(link.httpUrl)],
  [`sqld, WebSocket, ${linkMs} ms`, 50, () => LibSQLStore.open(link.webSocketUrl)],
];

const measured: string[][] = [];
for (const [name, times, open] of backends) {
  console.error(`${name} …`);
  const store = await open();
  const proxy = name.includes(`${linkMs} ms`) ? link : null;
  measured.push(...(await measure({ name, store, times, proxy })));
  if (name.startsWith("sqld")) await emptied(store);
  await store.close();
}
await link.close();
await server.stop();
await rm(folder, { recursive: true });

/** The next backend begins with nothing on the same server. */
async function emptied(store: WorkflowStore): Promise<void> {
  for (;;) {
    const { runs } = await store.listRuns({ limit: 100 });
    if (runs.length === 0) return;
    await Promise.all(runs.map(({ runId }) => store.deleteRun(runId)));
  }
}

const header = ["", "backend", "p50, ms", "p99, ms", "per second", "round trips at most"];
const order = [...new Set(measured.map(([work]) => work))];
console.log(
  table(
    header,
    order.flatMap((work) => measured.filter(([each]) => each === work)),
  ),
);
