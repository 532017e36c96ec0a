import { InvalidExportError } from "../../errors.ts";

/** Text or its UTF-8, cut anywhere. */
export type TextChunks = AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>;

/** Exports have no longer lines: a run that does not fit has several. */
const maxLineLength = 256 * 1024 * 1024;

export interface Line {
  readonly text: string;
  /** Counted from 1. */
  readonly number: number;
  /** False for a last line that has no line feed: whatever wrote it was stopped. */
  readonly ended: boolean;
}

/** The lines of a text that are not blank, without their line feeds. Holds one line and one chunk at a time. */
export async function* linesOf(chunks: TextChunks): AsyncGenerator<Line> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let number = 0;
  /** The beginning of a line, as it came: a line of many chunks is searched and put together once. */
  let parts: string[] = [];
  let length = 0;
  const endLine = (last: string): string => {
    const text = [...parts, last].join("");
    parts = [];
    length = 0;
    return text;
  };
  for await (const chunk of chunks) {
    const text = typeof chunk === "string" ? chunk : decode(decoder, chunk, number + 1);
    let start = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", start)) {
      number++;
      const line = endLine(text.slice(start, end)).replace(/\r$/, "");
      start = end + 1;
      if (line !== "") yield { text: line, number, ended: true };
    }
    const rest = text.slice(start);
    length += rest.length;
    if (length > maxLineLength) {
      throw new InvalidExportError({ line: number + 1, reason: "is too long" });
    }
    if (rest !== "") parts.push(rest);
  }
  const rest = endLine("");
  if (rest !== "") yield { text: rest, number: number + 1, ended: false };
}

function decode(decoder: TextDecoder, chunk: Uint8Array, line: number): string {
  if (line === 1 && chunk[0] === 0x1f && chunk[1] === 0x8b) {
    throw new InvalidExportError({ line, reason: "is compressed with gzip: decompress it first" });
  }
  try {
    return decoder.decode(chunk, { stream: true });
  } catch {
    // The decoder's error says nothing that helps.
    throw new InvalidExportError({ line, reason: "is not UTF-8" });
  }
}
