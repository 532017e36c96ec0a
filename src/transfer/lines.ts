import { InvalidExportError } from "../errors.ts";

/** Text or its UTF-8, cut anywhere. */
export type TextChunks = AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>;

export interface Line {
  readonly text: string;
  /** Counted from 1. */
  readonly number: number;
  /** False for a last line that has no line feed: whatever wrote it was stopped. */
  readonly ended: boolean;
}

/** The lines of a text that is not blank, without their line feeds. Holds one line and one chunk at a time. */
export async function* linesOf(chunks: TextChunks): AsyncGenerator<Line> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let number = 0;
  let rest = "";
  for await (const chunk of chunks) {
    rest += typeof chunk === "string" ? chunk : decode(decoder, chunk, number + 1);
    let start = 0;
    for (let end = rest.indexOf("\n"); end !== -1; end = rest.indexOf("\n", start)) {
      number++;
      const text = rest.slice(start, end).replace(/\r$/, "");
      start = end + 1;
      if (text !== "") yield { text, number, ended: true };
    }
    rest = rest.slice(start);
  }
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
