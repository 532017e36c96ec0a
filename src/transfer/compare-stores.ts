import * as z from "zod";
import { parseArgument } from "../arguments.ts";
import type { CorruptRowError } from "../errors.ts";
import type { RunBundle } from "../model/bundles.ts";
import type { RunFilter } from "../model/run-queries.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { bundlePages, bundlesById, type BundleScan } from "./bundle-pages.ts";
import { differenceOf, type RunDifference } from "./compare-bundles.ts";
import { mergeRuns } from "./run-merge.ts";
import { transferShape } from "./transfer-options.ts";

export interface CompareProgress {
  readonly runs: number;
  readonly differing: number;
}

export interface CompareOptions {
  readonly filter?: RunFilter | undefined;
  /** The differences that the report describes; all are counted. 100 when absent. */
  readonly maxDifferences?: number | undefined;
  readonly onProgress?: ((progress: CompareProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CompareReport {
  /** Both hold the same runs with the same steps, outputs and state, to the value, and all could be read. */
  readonly equal: boolean;
  /** Runs that one of them has, or both. */
  readonly runs: number;
  readonly differing: number;
  readonly differences: readonly RunDifference[];
  /** Runs that could not be read, and so not compared. */
  readonly unreadable: {
    readonly first: readonly CorruptRowError[];
    readonly second: readonly CorruptRowError[];
  };
}

const optionsSchema = z.strictObject({
  ...transferShape<CompareProgress>(),
  maxDifferences: z.int().min(0).default(100),
});

/** Progress is told at most once for this many runs. */
const progressRuns = 100;

/**
 * Compares two stores run by run, whatever they are made of, a page of each at a time.
 *
 * Runs that change meanwhile may be found to differ: compare again when the writers are still, or let
 * `MirroredStore.switchOver` do it.
 *
 * @throws {InvalidArgumentError} for an unknown option.
 */
export async function compareStores(
  first: WorkflowStore,
  second: WorkflowStore,
  options: CompareOptions = {},
): Promise<CompareReport> {
  const { maxDifferences, onProgress, ...scan } = parseArgument(optionsSchema, options, "options");
  const unreadable = { first: [] as CorruptRowError[], second: [] as CorruptRowError[] };
  const differences: RunDifference[] = [];
  const totals = { runs: 0, differing: 0 };
  for await (const difference of compareRuns(first, second, scan, unreadable)) {
    totals.runs++;
    if (difference !== null) {
      totals.differing++;
      if (differences.length < maxDifferences) differences.push(difference);
    }
    if (totals.runs % progressRuns === 0) onProgress?.({ ...totals });
  }
  onProgress?.({ ...totals });
  const equal = totals.differing + unreadable.first.length + unreadable.second.length === 0;
  return { equal, ...totals, differences, unreadable };
}

/** Runs of one side that are looked up in the other by their ids together. */
const batchRuns = 100;

/**
 * For every run that one has, or both: the difference, or null. Unreadable ones are added to their lists.
 *
 * A run that the lists show on one side may be on the other one all the same: with another `createdAt`, which is its
 * place in the order, or without what the filter asks for.
 */
export async function* compareRuns(
  first: WorkflowStore,
  second: WorkflowStore,
  scan: BundleScan,
  unreadable: { readonly first: CorruptRowError[]; readonly second: CorruptRowError[] },
): AsyncGenerator<RunDifference | null> {
  const merged = mergeRuns(
    bundlesOf(first, scan, unreadable.first),
    bundlesOf(second, scan, unreadable.second),
    { direction: 1, positionOf: ({ run }) => run },
  );
  const onlyFirst = new Map<string, RunBundle>();
  const onlySecond = new Map<string, RunBundle>();
  for await (const { a, b } of merged) {
    if (a !== null && b !== null) yield differenceOf(a.run.runId, a, b);
    else if (a !== null) onlyFirst.set(a.run.runId, a);
    else if (b !== null) onlySecond.set(b.run.runId, b);
    if (onlyFirst.size >= batchRuns) yield* compareFirst(onlyFirst);
    if (onlySecond.size >= batchRuns) yield* compareSecond(onlySecond);
  }
  yield* compareFirst(onlyFirst);
  yield* compareSecond(onlySecond);

  async function* compareFirst(runs: Map<string, RunBundle>) {
    const { bundles, corrupt } = await bundlesById(second, [...runs.keys()], {
      signal: scan.signal,
    });
    setAside(runs, corrupt, unreadable.second);
    for (const [runId, a] of runs) yield differenceOf(runId, a, bundles.get(runId) ?? null);
    runs.clear();
  }

  async function* compareSecond(runs: Map<string, RunBundle>) {
    const runIds = [...runs.keys()];
    const { bundles, corrupt } = await bundlesById(first, runIds, { signal: scan.signal });
    setAside(runs, corrupt, unreadable.first);
    // Those that the filter finds in the first are compared from there.
    const compared = bundles.size === 0 ? null : await bundlesById(first, runIds, scan);
    for (const [runId, b] of runs) {
      if (compared?.bundles.has(runId) === true) continue;
      yield differenceOf(runId, bundles.get(runId) ?? null, b);
    }
    runs.clear();
  }
}

/** Removes runs that the other side has and cannot read; each is named once. */
function setAside(
  runs: Map<string, RunBundle>,
  corrupt: readonly CorruptRowError[],
  unreadable: CorruptRowError[],
): void {
  for (const error of corrupt) {
    const runId = error.key["run_id"] ?? "";
    runs.delete(runId);
    if (!unreadable.some(({ key }) => key["run_id"] === runId)) unreadable.push(error);
  }
}

/** The difference in a sentence or several, a line each. */
export function describeDifference({ runId, kind, details }: RunDifference): string {
  if (kind !== "differs") return `run ${runId} is ${kind}`;
  return details.map((detail) => `run ${runId}: ${detail}`).join("\n");
}

async function* bundlesOf(
  store: WorkflowStore,
  scan: BundleScan,
  unreadable: CorruptRowError[],
): AsyncGenerator<RunBundle> {
  for await (const page of bundlePages(store, scan)) {
    for (const error of page.corrupt) unreadable.push(error);
    yield* page.bundles;
  }
}
