import { createHash } from "node:crypto";
import * as z from "zod/mini";
import { callUntilAborted } from "../../async/abort.ts";
import { parseArgument } from "../../arguments.ts";
import { checkStore } from "../../model/arguments.ts";
import { CorruptRowError, UnreadableRunsError } from "../../errors.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { bundlePages, transferShape, type BundleScan } from "../bundle-pages.ts";
import { encodeBundle, encodeHeader, encodeTrailer } from "./export-format.ts";

export interface ExportProgress {
  readonly runs: number;
  /** Runs that could not be read. */
  readonly unreadable: number;
}

export interface ExportOptions extends BundleScan {
  /** Called from time to time, and awaited. An error of it ends the call. */
  readonly onProgress?: ((progress: ExportProgress) => unknown) | undefined;
}

export const exportOptionsSchema = z.strictObject(transferShape<ExportProgress>());

/**
 * The runs of a store with their steps, attempts, outputs and state, as lines of JSON: a header, a line for each run,
 * oldest first (a run beyond 64 MiB has several), and a trailer with the number of runs and a checksum. Each line ends
 * with a line feed.
 *
 * Reads a page at a time. Runs that are created in the meantime come at the end. Each run is exported as it was at one
 * moment. `importStore` restores exactly these runs.
 *
 * @throws {UnreadableRunsError} after the trailer if runs were left out; the trailer names them too.
 * @throws {InvalidArgumentError} for an invalid argument.
 */
export async function* exportStore(
  store: WorkflowStore,
  options: ExportOptions = {},
): AsyncGenerator<string, void, undefined> {
  checkStore(store, "store");
  const { filter, onProgress, signal } = parseArgument(exportOptionsSchema, options, "options");
  const hash = createHash("sha256");
  const corrupt: CorruptRowError[] = [];
  let runs = 0;
  const hashed = (line: string): string => {
    hash.update(line).update("\n");
    return `${line}\n`;
  };

  yield hashed(encodeHeader(new Date()));
  for await (const page of bundlePages(store, { filter, signal })) {
    for (const bundle of page.bundles) {
      try {
        for (const line of encodeBundle(bundle)) yield hashed(line);
        runs++;
      } catch (error) {
        if (!(error instanceof CorruptRowError)) throw error;
        corrupt.push(error);
      }
    }
    corrupt.push(...page.corrupt);
    await callUntilAborted(onProgress, { runs, unreadable: corrupt.length }, signal);
  }
  yield `${encodeTrailer(runs, corrupt, hash)}\n`;
  if (corrupt.length > 0) throw new UnreadableRunsError({ corrupt });
}
