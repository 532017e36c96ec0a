import * as z from "zod/mini";
import { callUntilAborted } from "../async/abort.ts";
import { parseArgument } from "../arguments.ts";
import { checkStore } from "../model/arguments.ts";
import { RefusedRunsError, RunAlreadyExistsError, UnreadableRunsError } from "../errors.ts";
import type { RunBundle } from "../model/bundles.ts";
import { isFinalRunStatus } from "../model/transitions.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { bundlePages, runIdOfCell, transferShape, type BundleScan } from "./bundle-pages.ts";
import { storeBundles } from "./refusals.ts";
import { isSameDatabase, sameDatabaseError } from "./same-database.ts";
import { isSameRevision, StoreComparison, type ListedPair } from "./store-comparison.ts";

export interface CopyProgress {
  /** Runs stored in the target, replaced ones included. */
  readonly copied: number;
  /** Runs that the target already had, or had in a newer revision. Counted only with `resume`. */
  readonly unchanged: number;
  /** Runs that could not be read. */
  readonly unreadable: number;
}

export interface CopyOptions extends BundleScan {
  /** Called from time to time, and awaited. An error of it ends the call. */
  readonly onProgress?: ((progress: CopyProgress) => unknown) | undefined;
  /**
   * Copies what the target does not have yet, to continue a copy that was stopped or to catch up. A run that the
   * target has in a newer revision stays. Defaults to false: a run that the target has is an error.
   *
   * `true` skips a run that is finished and has the same status, revision and `updatedAt` in both stores; only the
   * lists of such runs are read. Steps, outputs and state that were written after the run ended do not change those
   * columns: `"compare"` reads everything from both stores and copies such runs too.
   */
  readonly resume?: boolean | "compare" | undefined;
  /** Runs that were copied before the abort stay; `resume` continues the copy. */
  readonly signal?: AbortSignal | undefined;
}

export type CopyReport = Omit<CopyProgress, "unreadable">;

const optionsSchema = z.strictObject({
  ...transferShape<CopyProgress>(),
  resume: z._default(z.union([z.boolean(), z.literal("compare")]), false),
});

/**
 * Copies the runs of one store to another of any kind, with their steps, attempts, outputs and state. Afterwards
 * `compareStores` finds no difference, unless something was written in the meantime. Each run is copied entirely or
 * not at all, so a copy can be killed at any point. Reads and writes a page at a time.
 *
 * @throws {RefusedRunsError} at the end if the target refused runs; all others were copied.
 * @throws {UnreadableRunsError} at the end if runs could not be read; all others were copied.
 * @throws {RunAlreadyExistsError} at the first run that the target has, unless `resume` is set.
 * @throws {InvalidArgumentError} for an invalid argument; with `resume`, if both stores are the same database.
 */
export async function copyStore(
  from: WorkflowStore,
  to: WorkflowStore,
  options: CopyOptions = {},
): Promise<CopyReport> {
  checkStore(from, "from");
  checkStore(to, "to");
  const { onProgress, resume, ...scan } = parseArgument(optionsSchema, options, "options");
  const comparison = new StoreComparison(from, to, scan);
  const { first: unreadable } = comparison.unreadable;
  const totals = { copied: 0, unchanged: 0 };
  let refused: { runId: string; error: unknown }[] = [];
  const report = () =>
    callUntilAborted(onProgress, { ...totals, unreadable: unreadable.size }, scan.signal);
  const store = async (bundles: readonly RunBundle[]) => {
    if (bundles.length > 0) {
      const onConflict = resume === false ? "fail" : "replace";
      const writeOptions = { onConflict, keepNewer: true, signal: scan.signal } as const;
      const stored = await storeBundles(to, bundles, writeOptions, ({ run: { runId } }, error) =>
        refused.push({ runId, error }),
      );
      totals.copied += stored.written + stored.replaced;
      totals.unchanged += stored.skipped;
    }
    await report();
  };
  if (resume === false) {
    for await (const { bundles, corrupt } of bundlePages(from, scan)) {
      for (const error of corrupt) unreadable.set(runIdOfCell(error), error);
      await store(bundles);
    }
  } else {
    if (await isSameDatabase(from, to, scan.signal)) throw sameDatabaseError("to");
    const skip = async ({ first, second }: ListedPair): Promise<boolean> => {
      if (first === null) return true;
      // A run that has not ended is always compared as a whole.
      const isCopied =
        resume === true &&
        second !== null &&
        isFinalRunStatus(first.status) &&
        isSameRevision(first, second);
      if (isCopied && ++totals.unchanged % 1000 === 0) await report();
      return isCopied;
    };
    for await (const page of comparison.runs(skip)) {
      const differing = page.filter(({ difference }) => difference !== null);
      totals.unchanged += page.length - differing.length;
      await store(differing.flatMap(({ bundle }) => bundle ?? []));
    }
    // A start may have given the key of a run to a newer one, which is copied first.
    const held = refused.filter(({ error }) => error instanceof RunAlreadyExistsError);
    refused = refused.filter((each) => !held.includes(each));
    for await (const page of comparison.named(held.map(({ runId }) => runId))) {
      await store(page.flatMap(({ bundle }) => bundle ?? []));
    }
  }
  const corrupt = [...unreadable.values()];
  if (refused.length > 0) throw new RefusedRunsError({ refused, corrupt });
  if (corrupt.length > 0) throw new UnreadableRunsError({ corrupt });
  return totals;
}
