import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream, type WriteStream } from "node:fs";
import { chmod, readlink, rename, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { finished, pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { ExportFileError, UnreadableRunsError } from "../../errors.ts";
import { untilAborted } from "../../async/abort.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { checkValues } from "./export-format.ts";
import { exportStore, type ExportOptions } from "./export-store.ts";
import { importStore, type ImportOptions, type ImportReport } from "./import-store.ts";
import { readExport } from "./read-export.ts";

const isCompressed = (path: string): boolean => path.endsWith(".gz");

/**
 * Writes an export to a file, compressed when its name ends with `.gz`. The file has its name only when it is
 * complete, and replaces one of that name then, whose permissions it keeps; until then it is beside it, under a
 * name of its own that ends with `.partial`, and it is removed when the export fails. Of several exports to one
 * name, the last to end is there, whole. A symbolic link stays, and its target is replaced.
 *
 * @throws {UnreadableRunsError} when runs had to be left out; the file is there, with all others, and names them.
 * @throws {ExportFileError} and what `exportStore` throws.
 */
export async function exportFile(
  store: WorkflowStore,
  path: string,
  options: ExportOptions = {},
): Promise<void> {
  const leftOut: UnreadableRunsError[] = [];
  const lines = untilUnreadable(exportStore(store, options), leftOut);
  const write = async (file: WriteStream) => {
    try {
      const written = isCompressed(path)
        ? pipeline(lines, createGzip(), file)
        : pipeline(lines, file);
      await untilAborted(options.signal, written);
    } finally {
      // A file that is still being opened would be made after it was removed.
      file.destroy();
      await finished(file).catch(() => undefined);
    }
  };
  try {
    const target = await targetOf(path);
    const existing = await stat(target).catch(() => null);
    if (existing !== null && !existing.isFile() && !existing.isDirectory()) {
      await write(createWriteStream(target));
    } else {
      const partial = `${target}.${randomUUID()}.partial`;
      try {
        await write(createWriteStream(partial, { flush: true, flags: "wx", mode: existing?.mode }));
        if (existing !== null) await chmod(partial, existing.mode & 0o7777);
        await rename(partial, target);
      } catch (error) {
        await rm(partial, { force: true });
        throw error;
      }
    }
  } catch (error) {
    throw fileError(path, error);
  }
  for (const error of leftOut) throw error;
}

/** Where a path leads, through symbolic links; the end of them need not exist. */
async function targetOf(path: string, links = 0): Promise<string> {
  const link = await readlink(path).catch(() => null);
  if (link === null || links === 40) return path;
  return targetOf(resolve(dirname(path), link), links + 1);
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
    for await (const { bundle, line } of readExport(readFile(path, onRead, signal))) {
      signal?.throwIfAborted();
      checkValues(bundle, line);
    }
  } catch (error) {
    signal?.throwIfAborted();
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
    return await importStore(store, readFile(path, onRead, options.signal), options);
  } catch (error) {
    options.signal?.throwIfAborted();
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
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const file = createReadStream(path, { signal });
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
