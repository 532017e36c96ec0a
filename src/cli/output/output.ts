import picocolors from "picocolors";
import stringWidth from "string-width";
import { isBytes, withMarks } from "../../json.ts";

type Write = NodeJS.WriteStream["write"];

/** Writes to standard output while it is reserved for the answer. */
let reserved: Write | null = null;

/** Sends everything that other code prints to standard error. Only the functions of this file write to standard output. */
export function reserveOutput(): void {
  reserved ??= process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr);
}

/** True once a module of the project may have been loaded. */
export function isOutputReserved(): boolean {
  return reserved !== null;
}

/** Prints a document or a line of text to standard output. */
export function print(text: string): void {
  const line = `${withoutControls(text)}\n`;
  if (reserved === null) process.stdout.write(line);
  else reserved(line);
}

/** Clears the terminal. Does nothing to a file or a pipe. */
export function clearScreen(): void {
  if (process.stdout.isTTY)
    (reserved ?? process.stdout.write.bind(process.stdout))("\u001B[2J\u001B[H");
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, toPlain, 2));
}

/** One line of NDJSON. */
export function printLine(value: unknown): void {
  print(JSON.stringify(value, toPlain));
}

/** JSON leaves out the message of an error, and prints bytes as an object of numbers. */
function toPlain(_: string, value: unknown): unknown {
  if (isBytes(value)) return withMarks(value);
  return value instanceof Error ? Object.assign({ message: value.message }, value) : value;
}

/** Prints a message about the work, which is not part of the answer, to standard error. */
export function note(text: string): void {
  process.stderr.write(`${withoutControls(text)}\n`);
}

/** Characters that control a terminal or reorder the text beside them. */
const controls = /[\p{Cc}\p{Bidi_Control}]/gu;
/** The same, and the colors of this file, which are kept together with line breaks and tabs. */
const strayControls = /\p{Cc}\[(?:0|1|2|22|3\d|39)m|[\p{Cc}\p{Bidi_Control}]/gu;

/**
 * `text` on one line, with control characters escaped as in JSON. Ids, names and messages come from elsewhere: escape
 * them before coloring them.
 */
export function escaped(text: string): string {
  return text.replaceAll(controls, escape);
}

/** `text` as an argument in a shell of Unix, without its control characters. */
export function quoted(text: string): string {
  const shown = escaped(text);
  return /^[\w@%+=:,./-]+$/u.test(shown) ? shown : `'${shown.replaceAll("'", String.raw`'\''`)}'`;
}

/** A copy in which every text is `escaped`, at any depth. */
export function escapedIn<T>(value: T): T {
  if (typeof value === "string") return escaped(value) as T;
  if (Array.isArray(value)) return value.map(escapedIn) as T;
  if (isBytes(value)) return withMarks(value) as T;
  if (value === null || typeof value !== "object" || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [escaped(key), escapedIn(each as unknown)]),
  ) as T;
}

/** JSON that is printed as text, on several lines. */
export function escapedJson(value: unknown): string {
  return withoutControls(JSON.stringify(value, toPlain, 2));
}

/** Escapes what the caller did not escape. */
function withoutControls(text: string): string {
  return text.replaceAll(strayControls, (found) =>
    found.startsWith("\u001B[") || found === "\n" || found === "\t"
      ? found
      : escape(found) + found.slice(1),
  );
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Colors for each stream, as NO_COLOR, FORCE_COLOR and the terminal say. */
export const colors = colorsOf(process.stdout);
export const noteColors = colorsOf(process.stderr);

function colorsOf(stream: NodeJS.WriteStream) {
  const { FORCE_COLOR: forced, NO_COLOR: refused } = process.env;
  const isRefused = refused !== undefined && refused !== "";
  const isForced = forced !== undefined && forced !== "0" && forced !== "false";
  const isAble = isForced || (stream.isTTY ? stream.hasColors() : false);
  // Outside of a terminal `isTTY` is undefined, and picocolors would decide: it turns colors on in CI.
  return picocolors.createColors(!isRefused && isAble);
}

/** Aligned rows under their headings, without lines, so that scripts can read them too. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(row[column] ?? "")), widthOf(heading)),
  );
  const draw = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - widthOf(cell)))
      .join("  ")
      .trimEnd();
  return [draw(headings.map((heading) => colors.bold(heading))), ...rows.map(draw)].join("\n");
}

/** Terminal columns, without colors. Most cells are ASCII and need no Unicode table. */
function widthOf(cell: string): number {
  return /^[\x20-\x7E]*$/.test(cell) ? cell.length : stringWidth(cell);
}
