import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream, type WriteStream } from "node:fs";
import { chmod, readdir, readlink, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { finished, pipeline } from "node:stream/promises";
import { getSystemErrorMap } from "node:util";
import { constants, createGunzip, createGzip } from "node:zlib";
import * as z from "zod/mini";
import { parseArgument } from "../../arguments.ts";
import { ExportFileError, UnreadableRunsError } from "../../errors.ts";
import { untilAborted } from "../../async/abort.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { checkValues } from "./export-format.ts";
import { exportOptionsSchema, exportStore, type ExportOptions } from "./export-store.ts";
import {
  importOptionsSchema,
  importStore,
  type ImportOptions,
  type ImportReport,
} from "./import-store.ts";
import { readExport } from "./read-export.ts";

const isCompressed = (path: string): boolean => path.endsWith(".gz");

const pathSchema = z.string().check(z.regex(/^[^\0]+$/, "must be the path of a file"));

/** A partial file that has not been written to for this long belongs to a process that was killed. */
const abandonedMs = 3_600_000;

/**
 * Writes an export to a file, compressed if its name ends with `.gz`. The export is written to
 * `<path>.<id>.partial` and renamed when it is complete, so a file of that name is replaced by a whole export or stays.
 * The new file has the permissions of the one that it replaces; a symbolic link stays, and its target is replaced. If
 * several processes export to one path, the last one to finish wins. An SQLite database is not replaced, nor its log.
 *
 * An export that fails removes its partial file. A killed process leaves it behind; the next export to the same path
 * removes partial files that have not been written to for an hour.
 *
 * @throws {UnreadableRunsError} if runs were left out; the file contains all others, and names these.
 * @throws {ExportFileError} if the file cannot be written, or is a database or its log.
 * @throws {InvalidArgumentError} if `path` is not a path.
 * @throws the errors of `exportStore`.
 */
export async function exportFile(
  store: WorkflowStore,
  path: string,
  options: ExportOptions = {},
): Promise<void> {
  // The process may change its folder before the file is renamed. `resolve` would drop a slash at the end.
  const given = parseArgument(pathSchema, path, "path");
  const parsed = parseArgument(exportOptionsSchema, options, "options");
  const fullPath = isAbsolute(given) ? given : join(resolve(), given);
  let leftOut: UnreadableRunsError | null = null;
  /** All lines. The error that follows the last one must not keep the file from being renamed. */
  async function* lines() {
    try {
      yield* exportStore(store, parsed);
    } catch (error) {
      if (!(error instanceof UnreadableRunsError)) throw error;
      leftOut = error;
    }
  }
  const write = async (file: WriteStream) => {
    try {
      const written = isCompressed(path)
        ? pipeline(lines(), createGzip(), file)
        : pipeline(lines(), file);
      await untilAborted(parsed.signal, written);
    } finally {
      file.destroy();
    }
  };
  try {
    const existing = await stat(fullPath).catch(() => null);
    if (existing?.isDirectory()) throw new ExportFileError({ path, reason: "is a folder" });
    if (existing !== null && !existing.isFile()) {
      // A pipe, such as /dev/stdout. Its link leads to no other path.
      await write(createWriteStream(fullPath));
    } else {
      const target = await targetOf(fullPath);
      const names = [target, target.replace(/-(wal|shm|journal)$/, "")];
      if ((await Promise.all(names.map(isDatabase))).includes(true)) {
        throw new ExportFileError({ path, reason: "is a database, which an export would replace" });
      }
      await removeAbandoned(target);
      const partial = `${target}.${randomUUID()}.partial`;
      const file = createWriteStream(partial, { flush: true, flags: "wx", mode: existing?.mode });
      try {
        await write(file);
        if (existing !== null) await chmod(partial, existing.mode & 0o7777);
        await rename(partial, target);
      } catch (error) {
        // A file that is still being opened would be created after its removal.
        await finished(file).catch(() => undefined);
        await rm(partial, { force: true });
        throw error;
      }
    }
  } catch (error) {
    throw fileError(path, error);
  }
  if (leftOut !== null) throw leftOut;
}

/** True for an SQLite file: a process that has it open would write to the replaced one. */
async function isDatabase(path: string): Promise<boolean> {
  const chunks = createReadStream(path, { end: 15 }).toArray();
  return String(await chunks.catch(() => null)) === "SQLite format 3\0";
}

/** The file that a path leads to through symbolic links. It need not exist. */
async function targetOf(path: string, links = 0): Promise<string> {
  const link = await readlink(path).catch(() => null);
  if (link === null || links === 40) return path;
  return targetOf(resolve(await realpath(dirname(path)), link), links + 1);
}

/** Removes partial files of killed exports. It is not needed for this export, so its errors are ignored. */
async function removeAbandoned(target: string): Promise<void> {
  const prefix = `${basename(target)}.`;
  for (const name of await readdir(dirname(target)).catch(() => [])) {
    const isPartial = name.startsWith(prefix) && partialPattern.test(name.slice(prefix.length));
    const partial = join(dirname(target), name);
    const written = isPartial ? await stat(partial).catch(() => null) : null;
    if (written === null || Date.now() - written.mtimeMs < abandonedMs) continue;
    await rm(partial, { force: true }).catch(() => undefined);
  }
}

const partialPattern = /^[-\da-f]{36}\.partial$/;

/**
 * Stores the runs of a file, decompressed if its name ends with `.gz`. The whole file is checked first: one that is cut
 * off, was changed or has an invalid line changes nothing. A pipe cannot be checked.
 *
 * @throws {ExportFileError} if the file cannot be read.
 * @throws the errors of `importStore`.
 */
export async function importFile(
  store: WorkflowStore,
  path: string,
  options: ImportOptions = {},
): Promise<ImportReport> {
  const parsed = parseArgument(importOptionsSchema, options, "options");
  await checkFile(path, parsed.signal);
  return storeFile(store, path, parsed);
}

/**
 * Reads a whole export and stores nothing. Returns the number of its runs; null without reading it if it is a pipe, which
 * can be read only once.
 *
 * @throws {ExportFileError} if the file cannot be read.
 * @throws the errors of `importStore` for an invalid export.
 */
export async function checkFile(path: string, signal?: AbortSignal): Promise<number | null> {
  const file = await stat(path).catch(() => null);
  if (file !== null && !file.isFile() && !file.isDirectory()) return null;
  let runs = 0;
  await reading(path, signal, async (chunks) => {
    for await (const { bundle, line } of readExport(chunks)) {
      signal?.throwIfAborted();
      checkValues(bundle, line);
      runs++;
    }
  });
  return runs;
}

/** Does what `importFile` does without checking the whole file first. */
export async function storeFile(
  store: WorkflowStore,
  path: string,
  options: ImportOptions,
): Promise<ImportReport> {
  return reading(path, options.signal, (chunks) => importStore(store, chunks, options));
}

/** Runs `work` on the content of a file. @throws {ExportFileError} if the file cannot be read. */
async function reading<T>(
  path: string,
  signal: AbortSignal | undefined,
  work: (chunks: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const file = createReadStream(parseArgument(pathSchema, path, "path"), { signal });
  // A compressed file that is cut off then ends like text that is cut off: `readExport` knows after which line.
  const finishFlush = constants.Z_SYNC_FLUSH;
  const content = isCompressed(path) ? file.pipe(createGunzip({ finishFlush })) : file;
  file.once("error", (error) => content.destroy(error));
  try {
    return await work(content);
  } catch (error) {
    signal?.throwIfAborted();
    throw fileError(path, error);
  } finally {
    file.destroy();
  }
}

const reasons: Readonly<Record<string, string>> = {
  EISDIR: "is a folder",
  Z_DATA_ERROR: "is damaged, or not compressed with gzip although its name ends with .gz",
};

function fileError(path: string, error: unknown): unknown {
  if (!(error instanceof Error && "errno" in error && "code" in error)) return error;
  const code = String(error.code);
  const [name, message] = getSystemErrorMap().get(Number(error.errno)) ?? [];
  const reason = reasons[code] ?? (name === code ? message : code);
  return new ExportFileError({ path, reason: reason ?? code }, { cause: error });
}
