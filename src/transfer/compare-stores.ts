import * as z from "zod";
import { parseArgument } from "../arguments.ts";
import type { CorruptRowError } from "../errors.ts";
import type { RunBundle } from "../model/bundles.ts";
import type { RunFilter } from "../model/run-queries.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { bundlePages, type BundleScan } from "./bundle-pages.ts";
import { compareBundles } from "./compare-bundles.ts";
import { mergeRuns } from "./run-merge.ts";
import { transferShape } from "./transfer-options.ts";

/** A run that the stores do not hold alike. */
export interface RunDifference {
  readonly runId: string;
  /** `differs` when both have it. */
  readonly kind: "missing in the first" | "missing in the second" | "differs";
  /** What is not the same, in sentences without payloads: `steps[charge].status is RUNNING in the first and …`. */
  readonly details: readonly string[];
}

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

/** For every run that one has, or both: the difference, or null. Unreadable ones are added to their lists. */
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
  for await (const { a, b } of merged) {
    const run = (a ?? b)?.run;
    if (run === undefined) continue;
    const other = a === null ? unreadable.first : unreadable.second;
    // The side that lacks it may have it, and not be able to read it.
    if ((a === null || b === null) && other.some(({ key }) => key["run_id"] === run.runId))
      continue;
    yield differenceOf(run.runId, a, b);
  }
}

export function differenceOf(
  runId: string,
  a: RunBundle | null,
  b: RunBundle | null,
): RunDifference | null {
  if (a === null) return { runId, kind: "missing in the first", details: [] };
  if (b === null) return { runId, kind: "missing in the second", details: [] };
  const details = compareBundles(a, b);
  return details.length === 0 ? null : { runId, kind: "differs", details };
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
    unreadable.push(...page.corrupt);
    yield* page.bundles;
  }
}
