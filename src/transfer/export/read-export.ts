import { createHash } from "node:crypto";
import {
  IncompleteExportError,
  InvalidArgumentError,
  InvalidExportError,
  type CorruptRowError,
} from "../../errors.ts";
import type { RunBundle } from "../../model/bundles.ts";
import {
  checkHeader,
  continueRecord,
  decodeBundle,
  parseLine,
  parseTrailer,
  type RecordLine,
} from "./export-format.ts";

/** Text or its UTF-8, cut anywhere. */
export type TextChunks = AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>;

export interface ExportedBundle {
  readonly bundle: RunBundle;
  /** The line on which it begins. */
  readonly line: number;
  /** The length of its lines in UTF-16 units, to bound what is held at once. */
  readonly size: number;
}

/**
 * The runs of an export. Ends only if the whole export was read and is unchanged; then it returns the cells that could
 * not be read when the export was written.
 *
 * @throws {InvalidExportError} at the first line that is wrong.
 * @throws {IncompleteExportError} if the export is cut off.
 * @throws {ExportTooNewError} if a later version wrote it.
 */
export async function* readExport(
  chunks: TextChunks,
): AsyncGenerator<ExportedBundle, readonly CorruptRowError[], undefined> {
  const hash = createHash("sha256");
  let corrupt: readonly CorruptRowError[] | null = null;
  let runs = 0;
  let lastLine = 0;
  /** The run of the line before, which the next line may continue. */
  let held: { record: RecordLine; line: number; size: number } | null = null;
  const release = (): ExportedBundle[] => {
    if (held === null) return [];
    const { record, line, size } = held;
    held = null;
    runs++;
    return [{ bundle: decodeBundle(record, line), line, size }];
  };
  for await (const { text, number: line, isEnded } of linesOf(chunks)) {
    if (corrupt !== null) throw new InvalidExportError({ line, reason: "comes after the end" });
    let record: RecordLine;
    try {
      record = parseLine(text, line);
    } catch (error) {
      yield* release();
      // A last line without its line feed was cut off.
      throw isEnded ? error : new IncompleteExportError({ line: lastLine });
    }
    if (lastLine === 0) {
      checkHeader(record);
    } else {
      const continued: RecordLine | null = held && continueRecord(held.record, record);
      if (held !== null && continued !== null) {
        held = { record: continued, line: held.line, size: held.size + text.length };
      } else {
        yield* release();
        corrupt = parseTrailer(record, line, runs, hash);
        if (corrupt === null) held = { record, line, size: text.length };
      }
    }
    hash.update(text).update("\n");
    lastLine = line;
  }
  yield* release();
  if (corrupt === null) throw new IncompleteExportError({ line: lastLine });
  return corrupt;
}

/** Exports have no longer lines: a run that does not fit has several. */
const maxLineLength = 256 * 1024 * 1024;

/**
 * The lines of a text that are not blank, without their line feeds, counted from 1. Holds one line and one chunk at a
 * time. `isEnded` is false for a last line without a line feed: its writer was stopped.
 */
export async function* linesOf(
  chunks: TextChunks,
): AsyncGenerator<{ text: string; number: number; isEnded: boolean }> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let number = 1;
  /** The beginning of a line. The chunks are joined once, when the line ends. */
  let parts: string[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    const [first = "", ...others] = decode(decoder, chunk, number).split("\n");
    parts.push(first);
    length += first.length;
    for (const next of others) {
      const text = parts.join("").replace(/\r$/, "");
      if (text !== "") yield { text, number, isEnded: true };
      number++;
      parts = [next];
      length = next.length;
    }
    if (length > maxLineLength) {
      throw new InvalidExportError({ line: number, reason: "is too long" });
    }
  }
  const text = parts.join("");
  if (text !== "") yield { text, number, isEnded: false };
}

function decode(decoder: TextDecoder, chunk: string | Uint8Array, line: number): string {
  if (typeof chunk === "string") return chunk;
  if (!ArrayBuffer.isView(chunk)) {
    const reason = "must consist of strings and bytes";
    throw new InvalidArgumentError({ argument: "records", reason });
  }
  if (line === 1 && chunk[0] === 0x1f && chunk[1] === 0x8b) {
    throw new InvalidExportError({ line, reason: "is compressed with gzip: decompress it first" });
  }
  try {
    return decoder.decode(chunk, { stream: true });
  } catch {
    // The decoder's error does not help the reader.
    throw new InvalidExportError({ line, reason: "is not UTF-8" });
  }
}
