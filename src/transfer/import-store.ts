import * as z from "zod";
import { parseArgument } from "../arguments.ts";
import {
  InvalidArgumentError,
  InvalidExportError,
  InvalidValueError,
  type CorruptRowError,
} from "../errors.ts";
import { pageBytes } from "../model/run-queries.ts";
import type { WriteBundlesOptions } from "../store/bundles.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import type { TextChunks } from "./lines.ts";
import { readExport, type ExportedBundle } from "./read-export.ts";
import { transferShape } from "./transfer-options.ts";

export interface ImportOptions {
  /** What happens to a run that is already there; `fail` when absent. */
  readonly onConflict?: WriteBundlesOptions["onConflict"] | undefined;
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
 * @throws {RunAlreadyExistsError} with `fail` at the first run that is there. Also where another run holds the
 *   same idempotency key and `onConflict` is not `skip`.
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
  const flush = async () => {
    parsed.signal?.throwIfAborted();
    const full = batch;
    batch = [];
    size = 0;
    await storeBundles(store, full, parsed, totals);
    parsed.onProgress?.({ ...totals });
  };

  const bundles = readExport(records);
  try {
    for (;;) {
      const next = await nextOf(bundles);
      if ("failed" in next || next.done === true) {
        if (batch.length > 0) await flush();
        if ("failed" in next) throw next.failed;
        return { ...totals, unreadable: next.value };
      }
      batch.push(next.value);
      size += next.value.size;
      if (batch.length >= batchRuns || size >= pageBytes) await flush();
    }
  } finally {
    // What the lines come from is closed, whatever happened.
    await bundles.return([]);
  }
}

/** The outcome of asking for the next one, an error among them: what was taken before is stored first. */
function nextOf<T, Return>(generator: AsyncGenerator<T, Return, undefined>) {
  return generator.next().catch((error: unknown) => ({ failed: error }));
}

async function storeBundles(
  store: WorkflowStore,
  bundles: readonly ExportedBundle[],
  options: Pick<z.output<typeof optionsSchema>, "onConflict" | "signal">,
  totals: { written: number; skipped: number; replaced: number },
): Promise<void> {
  const write = async (part: readonly ExportedBundle[]) => {
    const report = await store.writeBundles(
      part.map(({ bundle }) => bundle),
      { onConflict: options.onConflict, signal: options.signal },
    );
    totals.written += report.written;
    totals.skipped += report.skipped;
    totals.replaced += report.replaced;
  };
  try {
    await write(bundles);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    // The store refused a value, and stored none of them. One by one tells which line it is on.
    for (const each of bundles) {
      await write([each]).catch((cause: unknown) => {
        if (!isRefusal(cause)) throw cause;
        throw new InvalidExportError({ line: each.line, reason: cause.message }, { cause });
      });
    }
  }
}

function isRefusal(error: unknown): error is InvalidValueError | InvalidArgumentError {
  return error instanceof InvalidValueError || error instanceof InvalidArgumentError;
}
