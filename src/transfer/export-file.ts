import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { finished, pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { ExportFileError, UnreadableRunsError } from "../errors.ts";
import { untilAborted } from "../model/abort.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { exportStore, type ExportOptions } from "./export-store.ts";
import { importStore, type ImportOptions, type ImportReport } from "./import-store.ts";
import { readExport } from "./read-export.ts";

const isCompressed = (path: string): boolean => path.endsWith(".gz");

/**
 * Writes an export to a file, compressed when its name ends with `.gz`. The file has its name only when it is
 * complete, and replaces one of that name then; until then it is beside it, with `.partial` at its end, and it is
 * removed when the export fails.
 *
 * @throws {UnreadableRunsError} when runs had to be left out; the file is there, with all others, and names them.
 * @throws {ExportFileError} and what `exportStore` throws.
 */
export async function exportFile(
  store: WorkflowStore,
  path: string,
  options: ExportOptions = {},
): Promise<void> {
  const partial = `${path}.partial`;
  const leftOut: UnreadableRunsError[] = [];
  const lines = untilUnreadable(exportStore(store, options), leftOut);
  const file = createWriteStream(partial, { flush: true });
  try {
    const written = isCompressed(path)
      ? pipeline(lines, createGzip(), file)
      : pipeline(lines, file);
    await untilAborted(options.signal, written);
    await rename(partial, path);
  } catch (error) {
    // A file that is still being opened would be made after it was removed.
    file.destroy();
    await finished(file).catch(() => undefined);
    await rm(partial, { force: true });
    throw fileError(path, error);
  }
  for (const error of leftOut) throw error;
}

/**
 * Stores the runs of a file, decompressed when its name ends with `.gz`. The whole file is checked before any run
 * is stored: one that is cut off, was changed or has an invalid line changes nothing.
 *
 * @throws {ExportFileError} and what `importStore` throws.
 */
export async function importFile(
  store: WorkflowStore,
  path: string,
  options: ImportOptions = {},
): Promise<ImportReport> {
  await checkFile(path, options);
  return storeFile(store, path, options);
}

export interface FileReadOptions {
  /** Told how many bytes of the file have been read, as they are on the disk. */
  readonly onRead?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads a whole export and stores nothing.
 *
 * @throws {ExportFileError} and what `importStore` throws of an export that is not as it should be.
 */
export async function checkFile(
  path: string,
  { onRead, signal }: FileReadOptions = {},
): Promise<void> {
  try {
    for await (const _ of readExport(readFile(path, onRead))) signal?.throwIfAborted();
  } catch (error) {
    throw fileError(path, error);
  }
}

/** As `importFile`, without a look at the whole file first. */
export async function storeFile(
  store: WorkflowStore,
  path: string,
  options: ImportOptions,
  onRead?: FileReadOptions["onRead"],
): Promise<ImportReport> {
  try {
    return await importStore(store, readFile(path, onRead), options);
  } catch (error) {
    throw fileError(path, error);
  }
}

/** All lines; the error that comes after the last one is kept for later. */
async function* untilUnreadable(
  lines: AsyncGenerator<string>,
  leftOut: UnreadableRunsError[],
): AsyncGenerator<string> {
  try {
    yield* lines;
  } catch (error) {
    if (!(error instanceof UnreadableRunsError)) throw error;
    leftOut.push(error);
  }
}

async function* readFile(
  path: string,
  onRead: FileReadOptions["onRead"],
): AsyncGenerator<Uint8Array> {
  const file = createReadStream(path);
  const content = isCompressed(path) ? file.pipe(createGunzip()) : file;
  file.once("error", (error) => content.destroy(error));
  try {
    for await (const chunk of content) {
      onRead?.(file.bytesRead);
      yield chunk as Uint8Array;
    }
  } catch (error) {
    // A compressed file that breaks off is text that breaks off: its reader knows after which line.
    if (codeOf(error) !== "Z_BUF_ERROR") throw error;
  } finally {
    file.destroy();
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EACCES: "access is denied",
  EISDIR: "is a folder",
  ENOSPC: "there is no space left on the disk",
  Z_DATA_ERROR: "is damaged, or not compressed with gzip although its name ends with .gz",
};

function fileError(path: string, error: unknown): unknown {
  const code = codeOf(error);
  if (!(error instanceof Error && "errno" in error)) return error;
  return new ExportFileError({ path, reason: reasons[code] ?? code }, { cause: error });
}
