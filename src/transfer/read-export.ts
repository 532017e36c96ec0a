import { CorruptRowError, IncompleteExportError, InvalidExportError } from "../errors.ts";
import type { RunBundle } from "../model/bundles.ts";
import {
  checkHeader,
  decodeRecord,
  isTrailer,
  LineChecksum,
  type ExportTrailer,
} from "./export-format.ts";
import { linesOf, type Line, type TextChunks } from "./lines.ts";

/** A run of an export, and the line that it came from. */
export interface ExportedBundle {
  readonly bundle: RunBundle;
  readonly line: number;
  /** Length of the line, in UTF-16 units: near enough to bound what is held at once. */
  readonly size: number;
}

/**
 * The runs of an export. When the last one has been taken, the whole of it was there and unchanged.
 *
 * Returns the runs that the export itself says are not in it.
 *
 * @throws {InvalidExportError} at the first line that is not what it should be.
 * @throws {IncompleteExportError} {ExportTooNewError}
 */
export async function* readExport(
  chunks: TextChunks,
): AsyncGenerator<ExportedBundle, readonly CorruptRowError[], undefined> {
  const checksum = new LineChecksum();
  let trailer: ExportTrailer | null = null;
  let runs = 0;
  let lastLine = 0;
  for await (const line of linesOf(chunks)) {
    if (trailer !== null) {
      throw new InvalidExportError({ line: line.number, reason: "comes after the end" });
    }
    if (lastLine === 0) {
      checkHeader(line.text);
    } else {
      const record = decodeLast(line, lastLine);
      if (isTrailer(record)) {
        trailer = checkTrailer(record, line.number, { runs, sha256: checksum.digest() });
      } else {
        runs++;
        yield { bundle: record, line: line.number, size: line.text.length };
      }
    }
    checksum.add(line.text);
    lastLine = line.number;
  }
  if (trailer === null) throw new IncompleteExportError({ line: lastLine });
  return trailer.corrupt.map((cell) => new CorruptRowError(cell));
}

/** A last line without its line feed was cut off, unless it is whole all the same. */
function decodeLast(line: Line, lastLine: number) {
  try {
    return decodeRecord(line.text, line.number);
  } catch (error) {
    throw line.ended ? error : new IncompleteExportError({ line: lastLine });
  }
}

function checkTrailer(
  trailer: ExportTrailer,
  line: number,
  found: { readonly runs: number; readonly sha256: string },
): ExportTrailer {
  if (trailer.runs !== found.runs) {
    throw new InvalidExportError({
      line,
      reason: `says that the export has ${trailer.runs} runs, and there are ${found.runs}`,
    });
  }
  if (trailer.sha256 !== found.sha256) {
    throw new InvalidExportError({
      line,
      reason: "has another checksum than the lines before it: one of them was changed",
    });
  }
  return trailer;
}
