import * as z from "zod/mini";
import { parseArgument } from "../../arguments.ts";
import {
  InvalidArgumentError,
  InvalidExportError,
  InvalidValueError,
  RefusedRunsError,
  type CorruptRowError,
} from "../../errors.ts";
import { callUntilAborted, untilAborted } from "../../async/abort.ts";
import { callbackSchema, checkStore, operationShape } from "../../model/arguments.ts";
import { pageBytes } from "../../model/run-queries.ts";
import type { WriteBundlesOptions, WriteBundlesReport } from "../../store/bundles.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { batchRuns } from "../bundle-pages.ts";
import { storeBundles, sumOf } from "../refusals.ts";
import { readExport, type ExportedBundle, type TextChunks } from "./read-export.ts";

/** `onConflict` defaults to `fail`. An import that was aborted can be repeated with `skip`. */
export interface ImportOptions extends Partial<WriteBundlesOptions> {
  /** Called from time to time, and awaited. An error of it ends the call. */
  readonly onProgress?: ((progress: ImportProgress) => unknown) | undefined;
}

/** The runs so far. `written` are those that were new. */
export type ImportProgress = WriteBundlesReport;

export interface ImportReport extends ImportProgress {
  /** Cells that could not be read when the export was written; it does not contain their runs. */
  readonly unreadable: readonly CorruptRowError[];
}

export const importOptionsSchema = z.strictObject({
  onConflict: z._default(z.enum(["fail", "skip", "replace"]), "fail"),
  keepNewer: z.optional(z.boolean()),
  onProgress: callbackSchema<ImportProgress>(),
  ...operationShape,
});

const recordsSchema = z.custom<TextChunks>((value) => {
  const chunks: object = Object(value);
  return Symbol.asyncIterator in chunks || Symbol.iterator in chunks;
}, "must be an export, in chunks of text");

/**
 * Stores the runs of an export. `records` is the text that `exportStore` returns, or its UTF-8, cut anywhere; it is not
 * decompressed.
 *
 * Each run is stored entirely or not at all, and in order: if a line is wrong, the runs of the lines before it are
 * stored. Only the end of an export shows whether it is complete; `importFile` checks that first.
 *
 * @throws {RunAlreadyExistsError} with `fail` at the first run that exists.
 * @throws {RefusedRunsError} at the end if the store refused runs, because of a constraint of the app or an idempotency
 *   key that another run holds. All others were stored.
 * @throws {InvalidExportError} at the first line that is wrong; it names the line.
 * @throws {IncompleteExportError} if the export is cut off.
 * @throws {ExportTooNewError} if a later version wrote it.
 * @throws {InvalidArgumentError} for an invalid argument.
 */
export async function importStore(
  store: WorkflowStore,
  records: TextChunks,
  options: ImportOptions = {},
): Promise<ImportReport> {
  checkStore(store, "store");
  const parsed = parseArgument(importOptionsSchema, options, "options");
  const { onConflict, keepNewer, onProgress, signal } = parsed;
  let totals: WriteBundlesReport = { written: 0, skipped: 0, replaced: 0 };
  const refused: { runId: string; error: unknown }[] = [];
  let batch: ExportedBundle[] = [];
  let size = 0;
  const flush = async () => {
    signal?.throwIfAborted();
    if (batch.length === 0) return;
    const lines = new Map(batch.map(({ bundle, line }) => [bundle, line]));
    batch = [];
    size = 0;
    const stored = await storeBundles(
      store,
      [...lines.keys()],
      { onConflict, keepNewer, signal },
      (bundle, error) => {
        if (error instanceof InvalidValueError || error instanceof InvalidArgumentError) {
          const line = lines.get(bundle) ?? 0;
          throw new InvalidExportError({ line, reason: error.message }, { cause: error });
        }
        refused.push({ runId: bundle.run.runId, error });
      },
    );
    totals = sumOf(totals, stored);
    await callUntilAborted(onProgress, totals, signal);
  };

  const bundles = readExport(parseArgument(recordsSchema, records, "records"));
  const take = () => untilAborted(signal, bundles.next());
  try {
    let next = await take();
    while (next.done !== true) {
      batch.push(next.value);
      size += next.value.size;
      if (batch.length >= batchRuns || size >= pageBytes) await flush();
      next = await take();
    }
    await flush();
    if (refused.length > 0) throw new RefusedRunsError({ refused, corrupt: next.value });
    return { ...totals, unreadable: next.value };
  } catch (error) {
    // The runs of the lines before a line that is wrong are stored.
    await flush();
    throw error;
  } finally {
    // A source that is silent closes only after its next chunk.
    const closed = bundles.return([]);
    if (signal?.aborted === true) closed.catch(() => undefined);
    else await closed;
  }
}
