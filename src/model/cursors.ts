import { InvalidArgumentError } from "../errors.ts";

/** The position of a run in lists: by `createdAt`, then by the UTF-8 bytes of `runId`. */
export interface RunPosition<Time = Date | number> {
  readonly createdAt: Time;
  readonly runId: string;
}

/**
 * The raw cell of the last row of a page. A list also continues after a row whose time or id cannot be read.
 */
export type PositionCell = number | string | Uint8Array;

/** The position of the last row of a page. */
export interface StoredPosition {
  readonly createdAt: PositionCell;
  readonly runId: PositionCell;
}

/**
 * The opaque, URL-safe text of a position within one query.
 *
 * It contains a hash of the query's `fingerprint`, so that the cursor of another query is rejected.
 */
export function encodeCursor(position: StoredPosition, fingerprint: string): string {
  const cells = [position.createdAt, position.runId].map((cell) =>
    cell instanceof Uint8Array ? { blob: binaryOf(cell) } : cell,
  );
  const text = JSON.stringify([hash(fingerprint), ...cells]);
  return btoa(binaryOf(new TextEncoder().encode(text)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** @throws {InvalidArgumentError} if the text is not a cursor, or is the cursor of another query. */
export function decodeCursor(cursor: string, fingerprint: string): StoredPosition {
  const [queryHash, createdAt, runId, ...rest] = parse(cursor);
  if (rest.length > 0) throw notACursor();
  const position = { createdAt: positionCell(createdAt), runId: positionCell(runId) };
  if (queryHash !== hash(fingerprint)) {
    throw new InvalidArgumentError({
      argument: "cursor",
      reason: "belongs to another query: a cursor continues only the filter that it came from",
    });
  }
  return position;
}

function positionCell(value: unknown): PositionCell {
  if (typeof value === "string" || typeof value === "number") return value;
  const { blob } = (value ?? {}) as { readonly blob?: unknown };
  if (typeof blob !== "string") throw notACursor();
  return bytesOf(blob);
}

function parse(cursor: string): unknown[] {
  try {
    const bytes = bytesOf(atob(cursor.replaceAll("-", "+").replaceAll("_", "/")));
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (Array.isArray(value)) return value;
  } catch {
    // The text is not valid base64, UTF-8 or JSON.
  }
  throw notACursor();
}

/** Converts each byte to a character. */
function binaryOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

function bytesOf(binary: string): Uint8Array {
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function notACursor(): InvalidArgumentError {
  return new InvalidArgumentError({ argument: "cursor", reason: "is not a cursor of this store" });
}

/** 64-bit FNV-1a. It distinguishes queries, and does not protect against forgery. */
function hash(text: string): string {
  let value = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) {
    value = BigInt.asUintN(64, (value ^ BigInt(byte)) * 0x100000001b3n);
  }
  return value.toString(36);
}

/** Negative if `a` sorts before `b` by UTF-8 bytes, as SQLite's BINARY collation does. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    // UTF-16 sorts surrogates below U+E000..U+FFFF; UTF-8 sorts them above.
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** Negative if `a` is older than `b`. */
export function comparePositions(a: RunPosition, b: RunPosition): number {
  return Number(a.createdAt) - Number(b.createdAt) || compareText(a.runId, b.runId);
}
