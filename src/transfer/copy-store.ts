import * as z from "zod";
import { parseArgument } from "../arguments.ts";
import { RefusedRunsError, UnreadableRunsError, type CorruptRowError } from "../errors.ts";
import type { RunFilter } from "../model/run-queries.ts";
import type { BundlePage } from "../store/bundles.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { bundlePages, bundlesById, namedPages, type BundleScan } from "./bundle-pages.ts";
import { differenceOf } from "./compare-bundles.ts";
import { storeBundles } from "./refusals.ts";
import { isFinishedCopy, mergeLists } from "./run-lists.ts";
import { DatabaseCheck } from "./same-database.ts";
import { transferShape } from "./transfer-options.ts";

export interface CopyProgress {
  /** Runs stored in the target, those that replaced another among them. */
  readonly copied: number;
  /** Runs that the target had already, or in a newer revision: counted when a copy is resumed. */
  readonly unchanged: number;
  /** Runs that could not be read. */
  readonly unreadable: number;
}

export interface CopyOptions {
  readonly filter?: RunFilter | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
  /**
   * Copies what the target does not have yet: after a copy that was stopped, wherever it was, and to catch up.
   * A run that the target has in a newer revision stays. False when absent: a run that is there is an error.
   *
   * `true` takes a run as copied that is finished in both and has the same revision and `updatedAt`: it reads lists
   * alone. Steps, outputs and state that somebody wrote after the run had ended leave no trace there: `"compare"`
   * reads all that belongs to a run from both, and finds them, too.
   */
  readonly resume?: boolean | "compare" | undefined;
  /** What was copied before the abort stays; `resume` goes on. */
  readonly signal?: AbortSignal | undefined;
}

export type CopyReport = Omit<CopyProgress, "unreadable">;

const optionsSchema = z.strictObject({
  ...transferShape<CopyProgress>(),
  resume: z.union([z.boolean(), z.literal("compare")]).default(false),
});

/**
 * Copies the runs of one store to another, of whatever kind, with all that belongs to them: afterwards
 * `compareStores` finds no difference, if nobody wrote meanwhile. Each run is copied entirely or not at all, so a
 * copy may be killed at any point. Reads and writes a page at a time, however large the store is.
 *
 * @throws {RefusedRunsError} {UnreadableRunsError} at the end, after all other runs were copied.
 * @throws {RunAlreadyExistsError} at the first run that the target has, unless `resume` is set.
 * @throws {InvalidArgumentError} for an unknown option; with `resume`, when both stores are the same database.
 */
export async function copyStore(
  from: WorkflowStore,
  to: WorkflowStore,
  options: CopyOptions = {},
): Promise<CopyReport> {
  const { onProgress, resume, ...scan } = parseArgument(optionsSchema, options, "options");
  if (resume !== false) await new DatabaseCheck(from, to, "to").pass(scan.signal);
  const totals = { copied: 0, unchanged: 0 };
  const corrupt: CorruptRowError[] = [];
  const refused: { runId: string; error: unknown }[] = [];
  const tell = () => onProgress?.({ ...totals, unreadable: corrupt.length });
  const listener: MissingRunsListener = {
    unchanged: (runs) => {
      totals.unchanged += runs;
      if (runs > 0) tell();
    },
    unreadable: (errors) => {
      for (const error of errors) corrupt.push(error);
    },
  };
  const pages =
    resume === "compare"
      ? differingPages(from, to, scan, listener)
      : resume
        ? missingPages(from, to, scan, listener)
        : bundlePages(from, scan);
  for await (const page of pages) {
    for (const error of page.corrupt) corrupt.push(error);
    if (page.bundles.length > 0) {
      const onConflict = resume === false ? "fail" : "replace";
      const stored = await storeBundles(
        to,
        page.bundles,
        { onConflict, keepNewer: true, signal: scan.signal },
        ({ run: { runId } }, error) => refused.push({ runId, error }),
      );
      totals.copied += stored.written + stored.replaced;
      totals.unchanged += stored.skipped;
    }
    tell();
  }
  if (refused.length > 0) throw new RefusedRunsError({ refused, corrupt });
  if (corrupt.length > 0) throw new UnreadableRunsError({ corrupt });
  return totals;
}

/** Runs that are looked for and copied together. */
const batchRuns = 100;

interface MissingRunsListener {
  unchanged(runs: number): void;
  unreadable(errors: readonly CorruptRowError[]): void;
}

/** The bundles that `to` does not have, or not like that. Lists are compared, which is far less than bundles. */
async function* missingPages(
  from: WorkflowStore,
  to: WorkflowStore,
  scan: BundleScan,
  listener: MissingRunsListener,
): AsyncGenerator<BundlePage> {
  const { signal } = scan;
  let runIds: string[] = [];
  let unchanged = 0;
  for await (const { a, b } of mergeLists(from, to, scan, listener.unreadable)) {
    if (a === null) continue;
    if (b !== null && isFinishedCopy(b, a)) unchanged++;
    else runIds.push(a.runId);
    if (runIds.length < batchRuns && unchanged < 10 * batchRuns) continue;
    listener.unchanged(unchanged);
    unchanged = 0;
    yield* namedPages(from, runIds, { signal });
    runIds = [];
  }
  listener.unchanged(unchanged);
  yield* namedPages(from, runIds, { signal });
}

/** The bundles that `to` does not have, or of which anything is not the same. */
async function* differingPages(
  from: WorkflowStore,
  to: WorkflowStore,
  scan: BundleScan,
  listener: MissingRunsListener,
): AsyncGenerator<BundlePage> {
  for await (const page of bundlePages(from, scan)) {
    const ids = page.bundles.map(({ run }) => run.runId);
    const copies = (await bundlesById(to, ids, { signal: scan.signal })).bundles;
    const bundles = page.bundles.filter(
      (bundle) =>
        differenceOf(bundle.run.runId, bundle, copies.get(bundle.run.runId) ?? null) !== null,
    );
    listener.unchanged(page.bundles.length - bundles.length);
    yield { ...page, bundles };
  }
}
