// How long a writer waits while `pruneRuns` deletes most of a large file: `npx tsx bench/prune.ts [runs]`.
// The file is made by SQL, with four steps a run, and removed at the end.
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { LibSQLStore } from "../src/index.ts";
import { bulkBeginning, makeBulkRuns } from "../test/support/bulk-runs.ts";

const runs = Number(process.argv[2] ?? 1_000_000);
const folder = await mkdtemp(join(tmpdir(), "gorkflow-prune-"));
const path = join(folder, "workflows.db");
const megabytes = async () => Math.round((await stat(path)).size / 1e6);

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  const result = await work();
  console.log(`${what}: ${((performance.now() - begun) / 1000).toFixed(2)} s`);
  return result;
}

function percentile(sorted: readonly number[], part: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(1);
}

/** Writes one small run after another, and returns how long each took, in ms. */
async function write(store: LibSQLStore, isOver: () => boolean): Promise<number[]> {
  const waits: number[] = [];
  while (!isOver()) {
    const begun = performance.now();
    await store.createRun({ workflowId: "writer", input: { n: waits.length } });
    waits.push(performance.now() - begun);
    await sleep(1);
  }
  return waits.toSorted((a, b) => a - b);
}

function report(what: string, waits: readonly number[]): void {
  const [median, high] = [percentile(waits, 0.5), percentile(waits, 0.99)];
  console.log(
    `${what}: ${waits.length} writes, median ${median} ms, p99 ${high} ms, longest ${percentile(waits, 1)} ms`,
  );
}

try {
  await timed(`${runs} runs of four steps are made`, () => makeBulkRuns(`file:${path}`, runs));
  const store = await LibSQLStore.open(`file:${path}`);
  console.log(`the file has ${await megabytes()} MB`);
  const policy = { olderThan: new Date(bulkBeginning + runs * 1000 * 0.9), keepLast: 100 };
  await timed("stats", () => store.stats());
  await timed("a dry run", () => store.pruneRuns({ ...policy, dryRun: true }));

  let quiet = true;
  const alone = write(store, () => !quiet);
  await sleep(3000);
  quiet = false;
  report("a writer alone", await alone);

  let pruning = true;
  const beside = write(store, () => !pruning);
  const pruned = await timed("the prune", () => store.pruneRuns(policy));
  pruning = false;
  report("a writer beside the prune", await beside);
  console.log(pruned, `the file has ${await megabytes()} MB`);
  await store.close();
} finally {
  await rm(folder, { recursive: true });
}
