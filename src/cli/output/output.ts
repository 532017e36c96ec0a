import picocolors from "picocolors";
import stringWidth from "string-width";

type Write = NodeJS.WriteStream["write"];

/** Where the answer is written if the standard output is reserved for it. */
let reserved: Write | null = null;

/** From now on only the functions of this file write to the standard output; what others print is moved to the other. */
export function reserveOutput(): void {
  reserved ??= process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr);
}

/** One document, or a line of text, on the standard output. */
export function print(text: string): void {
  const line = `${withoutControls(text)}\n`;
  if (reserved === null) process.stdout.write(line);
  else reserved(line);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, withMessages, 2));
}

/** One line of NDJSON. */
export function printLine(value: unknown): void {
  print(JSON.stringify(value, withMessages));
}

/** The message of an error is no property that JSON sees. */
function withMessages(_: string, value: unknown): unknown {
  return value instanceof Error ? Object.assign({ message: value.message }, value) : value;
}

/** What is said about the work while it is done, and is no part of the answer. */
export function note(text: string): void {
  process.stderr.write(`${withoutControls(text)}\n`);
}

/** What a terminal would obey, and what hides the text beside it. */
const controls = /[\p{Cc}\p{Bidi_Control}]/gu;
/** The same, without line breaks, tabs and the colours of this file. */
const strayControls = /\p{Cc}\[(?:0|1|2|22|3\d|39)m|[\p{Cc}\p{Bidi_Control}]/gu;

/**
 * `text` with all control characters in the escapes of JSON, on one line. Ids, names and messages are somebody else's
 * text: they are escaped before they are coloured.
 */
export function escaped(text: string): string {
  return text.replaceAll(controls, escape);
}

/** A copy in which every text is `escaped`, at any depth. */
export function escapedIn<T>(value: T): T {
  if (typeof value === "string") return escaped(value) as T;
  if (Array.isArray(value)) return value.map(escapedIn) as T;
  if (value === null || typeof value !== "object" || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [escaped(key), escapedIn(each as unknown)]),
  ) as T;
}

/** JSON that is shown as text: its line breaks are its own. */
export function escapedJson(value: unknown): string {
  return withoutControls(JSON.stringify(value, null, 2));
}

/** For whatever was not escaped where it was put into the text. */
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

/** Colours where a terminal shows them: NO_COLOR, FORCE_COLOR and a pipe are honoured for each stream. */
export const colors = colorsOf(process.stdout);
export const noteColors = colorsOf(process.stderr);

function colorsOf(stream: NodeJS.WriteStream) {
  const { FORCE_COLOR: forced, NO_COLOR: refused } = process.env;
  const isRefused = refused !== undefined && refused !== "";
  const isForced = forced !== undefined && forced !== "0" && forced !== "false";
  return picocolors.createColors(!isRefused && (isForced || (stream.isTTY && stream.hasColors())));
}

/** Rows under their headings, aligned, without lines: what a pipe and an eye can both read. */
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

/** Columns of a terminal, without colours. Most cells are plain, and need no table of Unicode. */
function widthOf(cell: string): number {
  return /^[\x20-\x7E]*$/.test(cell) ? cell.length : stringWidth(cell);
}
