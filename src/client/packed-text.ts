import { Buffer } from "node:buffer";
import type Database from "libsql";

/**
 * True for SQL that can make text which is not UTF-8. Bound values and the text of a statement cannot: they come from
 * strings of JavaScript.
 */
export function mayMakeText(sql: string): boolean {
  return textMaker.test(sql);
}

const textMaker =
  /->|\b(?:cast|char|unhex|json\w*|printf|format|substr\w*|readfile|trigger|attach|concat\w*)\b|\|\|/i;

/**
 * A query whose text arrives as one cell of hexadecimal digits: the binding ends the process when it reads text that is not
 * UTF-8, which any other program may have stored. `unpack` gives the row that the query itself would have given, with
 * the bytes in the place of text that cannot be read.
 */
export interface PackedQuery {
  readonly native: Database.Statement;
  unpack(row: readonly unknown[]): unknown[];
}

/** Null for a query that gives no text. */
export function packText(
  prepare: (sql: string) => Database.Statement,
  sql: string,
): PackedQuery | null {
  const columns = prepare(sql).columns();
  const isText = columns.map(({ type }) => type?.toLowerCase() === "text");
  // An expression has no declared type: its value decides.
  const isOpen = columns.map(({ type }) => type === null);
  const packed = columns.flatMap((_, index) => (isText[index] || isOpen[index] ? [index] : []));
  if (packed.length === 0 || packed.length > maxPacked) return null;
  const names = columns.map((_, index) => `c${index}`);
  const cells = names.flatMap((name, index) =>
    isText[index] ? [] : [isOpen[index] ? `iif(typeof(${name}) = 'text', null, ${name})` : name],
  );
  const presence = packed.map((index, bit) => {
    const isThere = isText[index] ? `c${index} is not null` : `typeof(c${index}) = 'text'`;
    return `((${isThere}) << ${bit})`;
  });
  const texts = packed.map((index) =>
    isText[index] ? `c${index}` : `iif(typeof(c${index}) = 'text', c${index}, '')`,
  );
  const native = prepare(
    `with query(${names.join()}) as (${sql}) select ${[
      ...cells,
      presence.join(" + "),
      // Hexadecimal is cheaper than a blob, for which the binding makes a buffer of its own.
      `hex(concat(${texts.join(", char(0), ")}))`,
    ].join(", ")} from query`,
  );
  return { native, unpack: unpacker(isText, packed) };
}

/** As many bits as a number in JavaScript shifts. */
const maxPacked = 30;

/** Where a column of the query is: `bit` in the packed text, `cell` among the other cells; -1 if it is not there. */
interface Source {
  readonly cell: number;
  readonly bit: number;
}

function unpacker(isText: readonly boolean[], packed: readonly number[]): PackedQuery["unpack"] {
  let others = 0;
  const sources = isText.map((text, index): Source => {
    return { cell: text ? -1 : others++, bit: packed.indexOf(index) };
  });
  return (row) => {
    const presence = row[others] as number;
    const texts = split(row[others + 1] as string, packed.length);
    const unpacked: unknown[] = [];
    for (const { cell, bit } of sources) {
      const isPresent = bit >= 0 && (presence & (1 << bit)) !== 0;
      unpacked.push(isPresent ? texts[bit] : cell >= 0 ? row[cell] : null);
    }
    return unpacked;
  };
}

/** The texts that are joined by NUL; bytes for those that cannot be read. */
function split(hex: string, count: number): readonly (string | Uint8Array)[] {
  const buffer = Buffer.from(hex, "hex");
  const text = buffer.toString();
  const texts = text.split("\0");
  if (texts.length === count && !text.includes(replacement)) return texts;
  return splitBytes(buffer, count);
}

/** What the decoder puts in the place of bytes that are not UTF-8. It may also be a character of the text. */
const replacement = "\uFFFD";

function splitBytes(buffer: Buffer, count: number): (string | Uint8Array)[] {
  const pieces: Buffer[] = [];
  let start = 0;
  for (let end = buffer.indexOf(0); end !== -1; end = buffer.indexOf(0, start)) {
    pieces.push(buffer.subarray(start, end));
    start = end + 1;
  }
  pieces.push(buffer.subarray(start));
  // A text has a NUL in it, and nothing tells which: the first, which is the key, is kept.
  const isClear = pieces.length === count;
  return Array.from({ length: count }, (_, index) => {
    const piece = pieces[index] ?? Buffer.alloc(0);
    if (!isClear && index > 0) return piece;
    const text = piece.toString();
    return Buffer.from(text).equals(piece) ? text : piece;
  });
}
