import * as z from "zod";
import { parseArgument } from "../../arguments.ts";
import {
  InvalidArgumentError,
  InvalidExportError,
  InvalidValueError,
  RefusedRunsError,
  type CorruptRowError,
} from "../../errors.ts";
import { untilAborted } from "../../async/abort.ts";
import { pageBytes } from "../../model/run-queries.ts";
import type { WriteBundlesOptions } from "../../store/bundles.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import type { TextChunks } from "./lines.ts";
import { readExport, type ExportedBundle } from "./read-export.ts";
import { storeBundles } from "../refusals.ts";
import { transferShape } from "../transfer-options.ts";

export interface ImportOptions {
  /** What happens to a run that is already there; `fail` when absent. */
  readonly onConflict?: WriteBundlesOptions["onConflict"] | undefined;
  /** With `replace`, a run that is there in a later revision stays, and counts as skipped. False when absent. */
  readonly keepNewer?: boolean | undefined;
  readonly onProgress?: ((progress: ImportProgress) => void) | undefined;
  /** What was stored before the abort stays; with `skip` the import can be done again. */
  readonly signal?: AbortSignal | undefined;
}

export interface ImportProgress {
  /** Runs that were new. */
  readonly written: number;
  readonly skipped: number;
  readonly replaced: number;
}

export interface ImportReport extends ImportProgress {
  /** Runs that could not be read when the export was written, and are not in it. */
  readonly unreadable: readonly CorruptRowError[];
}

const { onProgress, signal } = transferShape<ImportProgress>();
const optionsSchema = z.strictObject({
  onConflict: z.enum(["fail", "skip", "replace"]).default("fail"),
  keepNewer: z.boolean().optional(),
  onProgress,
  signal,
});

/** Runs that are stored together. */
const batchRuns = 100;

/**
 * Stores the runs of an export: text or its UTF-8, cut anywhere, as `exportStore` gives them and a file is read.
 * Nothing is decompressed: `importFile` does that, by the name of the file.
 *
 * Each run is stored entirely or not at all, and in order: when it fails, the runs of the lines before the
 * offending one are stored. Whether the export is complete is known at its end only; `importFile` looks first.
 *
 * @throws {RunAlreadyExistsError} with `fail` at the first run that is there.
 * @throws {RefusedRunsError} at the end, after all others were stored: of runs that the store refuses for a reason of
 *   its own, such as a constraint of the app, or an idempotency key that another run holds.
 * @throws {InvalidExportError} that names the line. {IncompleteExportError} {ExportTooNewError}
 * @throws {InvalidArgumentError} for an unknown option.
 */
export async function importStore(
  store: WorkflowStore,
  records: TextChunks,
  options: ImportOptions = {},
): Promise<ImportReport> {
  const parsed = parseArgument(optionsSchema, options, "options");
  const totals = { written: 0, skipped: 0, replaced: 0 };
  let batch: ExportedBundle[] = [];
  let size = 0;
  const refused: { runId: string; error: unknown }[] = [];
  const flush = async () => {
    parsed.signal?.throwIfAborted();
    const full = batch;
    batch = [];
    size = 0;
    const lines = new Map(full.map(({ bundle, line }) => [bundle, line]));
    const { onConflict, keepNewer } = parsed;
    const stored = await storeBundles(
      store,
      [...lines.keys()],
      { onConflict, keepNewer, signal: parsed.signal },
      (bundle, error) => {
        if (error instanceof InvalidValueError || error instanceof InvalidArgumentError) {
          const line = lines.get(bundle) ?? 0;
          throw new InvalidExportError({ line, reason: error.message }, { cause: error });
        }
        refused.push({ runId: bundle.run.runId, error });
      },
    );
    totals.written += stored.written;
    totals.skipped += stored.skipped;
    totals.replaced += stored.replaced;
    parsed.onProgress?.({ ...totals });
  };

  const bundles = readExport(records);
  try {
    for (;;) {
      const next = await untilAborted(parsed.signal, nextOf(bundles));
      if ("failed" in next || next.done === true) {
        if (batch.length > 0) await flush();
        if ("failed" in next) throw next.failed;
        if (refused.length > 0) throw new RefusedRunsError({ refused, corrupt: next.value });
        return { ...totals, unreadable: next.value };
      }
      batch.push(next.value);
      size += next.value.size;
      if (batch.length >= batchRuns || size >= pageBytes) await flush();
    }
  } finally {
    // The source of the lines is closed. One that is silent would not be closed before it says something.
    const closed = bundles.return([]);
    if (parsed.signal?.aborted === true) closed.catch(() => undefined);
    else await closed;
  }
}

/** The outcome of asking for the next one, an error among them: what was taken before is stored first. */
function nextOf<T, Return>(generator: AsyncGenerator<T, Return, undefined>) {
  return generator.next().catch((error: unknown) => ({ failed: error }));
}
