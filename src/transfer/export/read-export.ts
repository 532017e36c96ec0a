import { CorruptRowError, IncompleteExportError, InvalidExportError } from "../../errors.ts";
import type { RunBundle } from "../../model/bundles.ts";
import {
  checkHeader,
  continueRecord,
  decodeBundle,
  decodeLine,
  isTrailer,
  LineChecksum,
  type ExportTrailer,
  type RecordLine,
} from "./export-format.ts";
import { linesOf, type TextChunks } from "./lines.ts";

/** A run of an export, and the line that it came from. */
export interface ExportedBundle {
  readonly bundle: RunBundle;
  readonly line: number;
  /** Length of the line, in UTF-16 units: near enough to bound what is held at once. */
  readonly size: number;
}

interface HeldRun {
  readonly record: RecordLine;
  readonly line: number;
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
  /** The run of the line before, which the next one may continue. At most one. */
  const held: HeldRun[] = [];
  const release = (): ExportedBundle[] =>
    held.splice(0).map(({ record, line, size }) => {
      runs++;
      return { bundle: decodeBundle(record, line), line, size };
    });
  for await (const line of linesOf(chunks)) {
    if (trailer !== null) {
      throw new InvalidExportError({ line: line.number, reason: "comes after the end" });
    }
    if (lastLine === 0) {
      checkHeader(line.text);
    } else {
      let record: RecordLine | ExportTrailer;
      try {
        record = decodeLine(line.text, line.number);
      } catch (error) {
        yield* release();
        // A last line without its line feed was cut off.
        throw line.ended ? error : new IncompleteExportError({ line: lastLine });
      }
      const before = held[0];
      const continued = before && continueRecord(before.record, record);
      if (before && continued) {
        held[0] = { ...before, record: continued, size: before.size + line.text.length };
      } else {
        yield* release();
        if (isTrailer(record)) trailer = checkTrailer(record, line.number, { runs, checksum });
        else held.push({ record, line: line.number, size: line.text.length });
      }
    }
    checksum.add(line.text);
    lastLine = line.number;
  }
  yield* release();
  if (trailer === null) throw new IncompleteExportError({ line: lastLine });
  return trailer.corrupt.map((cell) => new CorruptRowError(cell));
}

function checkTrailer(
  trailer: ExportTrailer,
  line: number,
  found: { readonly runs: number; readonly checksum: LineChecksum },
): ExportTrailer {
  if (trailer.runs !== found.runs) {
    throw new InvalidExportError({
      line,
      reason: `says that the export has ${trailer.runs} runs, and there are ${found.runs}`,
    });
  }
  // Older exports do not have the list of unreadable runs under the checksum.
  const sums = [found.checksum.digest(trailer.corrupt), found.checksum.digest()];
  if (!sums.includes(trailer.sha256)) {
    throw new InvalidExportError({
      line,
      reason: "has another checksum than the lines before it: one of them was changed",
    });
  }
  return trailer;
}
