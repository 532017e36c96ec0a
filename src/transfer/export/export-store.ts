import * as z from "zod";
import { parseArgument } from "../../arguments.ts";
import { CorruptRowError, UnreadableRunsError } from "../../errors.ts";
import type { RunFilter } from "../../model/run-queries.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { bundlePages } from "../bundle-pages.ts";
import { encodeBundle, encodeHeader, encodeTrailer, LineChecksum } from "./export-format.ts";
import { transferShape } from "../transfer-options.ts";

export interface ExportProgress {
  readonly runs: number;
  /** Runs that could not be read. */
  readonly unreadable: number;
}

export interface ExportOptions {
  readonly filter?: RunFilter | undefined;
  readonly onProgress?: ((progress: ExportProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const optionsSchema = z.strictObject(transferShape<ExportProgress>());

/**
 * The runs of a store, each with all that belongs to it, as lines of JSON: a header, a run a line, oldest first
 * (a run beyond 64 MiB has several), and a trailer with their number and checksum. Each line ends with its line feed, so that they can be piped.
 *
 * Reads a page at a time, however large the store is. Runs that begin meanwhile come at the end; a run that
 * changes meanwhile is whole, as it was at some time of the export. What `importStore` makes of it is equal.
 *
 * @throws {UnreadableRunsError} after the trailer, when runs had to be left out; the trailer names them too.
 * @throws {InvalidArgumentError} for an unknown option.
 */
export async function* exportStore(
  store: WorkflowStore,
  options: ExportOptions = {},
): AsyncGenerator<string, void, undefined> {
  const { filter, onProgress, signal } = parseArgument(optionsSchema, options, "options");
  const checksum = new LineChecksum();
  const corrupt: CorruptRowError[] = [];
  let runs = 0;
  const add = (line: string): string => {
    checksum.add(line);
    return `${line}\n`;
  };

  yield add(encodeHeader(new Date()));
  for await (const page of bundlePages(store, { filter, signal })) {
    for (const bundle of page.bundles) {
      try {
        for (const line of encodeBundle(bundle)) yield add(line);
        runs++;
      } catch (error) {
        if (!(error instanceof CorruptRowError)) throw error;
        corrupt.push(error);
      }
    }
    for (const error of page.corrupt) corrupt.push(error);
    onProgress?.({ runs, unreadable: corrupt.length });
  }
  const named = corrupt.map(({ table, key, column }) => ({ table, key: { ...key }, column }));
  yield `${encodeTrailer({ runs, corrupt: named, sha256: checksum.digest(named) })}\n`;
  if (corrupt.length > 0) throw new UnreadableRunsError({ corrupt });
}
