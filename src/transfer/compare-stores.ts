import * as z from "zod/mini";
import { callUntilAborted } from "../async/abort.ts";
import { parseArgument } from "../arguments.ts";
import { checkStore } from "../model/arguments.ts";
import type { CorruptRowError } from "../errors.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { transferShape, type BundleScan } from "./bundle-pages.ts";
import type { RunDifference } from "./compare-bundles.ts";
import { StoreComparison } from "./store-comparison.ts";

export interface CompareProgress {
  readonly runs: number;
  readonly differing: number;
}

export interface CompareOptions extends BundleScan {
  /** The most differences that the report describes; all are counted. Defaults to 100. */
  readonly maxDifferences?: number | undefined;
  /** Called from time to time, and awaited. An error of it ends the call. */
  readonly onProgress?: ((progress: CompareProgress) => unknown) | undefined;
}

export interface CompareReport {
  /** Both stores hold the same runs with the same steps, outputs and state, and all of them could be read. */
  readonly equal: boolean;
  /** Runs that either store has. */
  readonly runs: number;
  readonly differing: number;
  readonly differences: readonly RunDifference[];
  /** Runs that could not be read, and so were not compared. */
  readonly unreadable: {
    readonly first: readonly CorruptRowError[];
    readonly second: readonly CorruptRowError[];
  };
}

const optionsSchema = z.strictObject({
  ...transferShape<CompareProgress>(),
  maxDifferences: z._default(z.int().check(z.minimum(0)), 100),
});

/**
 * Compares two stores of any kind run by run, a page at a time, newest first.
 *
 * A run that changes during the comparison may be reported as different. Compare again when no process writes, or
 * use `MirroredStore.switchOver`, which handles this.
 *
 * @throws {InvalidArgumentError} for an invalid argument.
 */
export async function compareStores(
  first: WorkflowStore,
  second: WorkflowStore,
  options: CompareOptions = {},
): Promise<CompareReport> {
  checkStore(first, "first");
  checkStore(second, "second");
  const { maxDifferences, onProgress, ...scan } = parseArgument(optionsSchema, options, "options");
  const comparison = new StoreComparison(first, second, scan);
  const { unreadable } = comparison;
  const differences: RunDifference[] = [];
  const totals = { runs: 0, differing: 0 };
  for await (const page of comparison.runs()) {
    const compared = page.filter(({ runId }) => !unreadable.second.has(runId));
    const found = compared.flatMap(({ difference }) => difference ?? []);
    totals.runs += compared.length;
    totals.differing += found.length;
    differences.push(...found.slice(0, maxDifferences - differences.length));
    await callUntilAborted(onProgress, { ...totals }, scan.signal);
  }
  await callUntilAborted(onProgress, { ...totals }, scan.signal);
  return {
    equal: totals.differing + unreadable.first.size + unreadable.second.size === 0,
    ...totals,
    differences,
    unreadable: {
      first: [...unreadable.first.values()],
      second: [...unreadable.second.values()],
    },
  };
}
