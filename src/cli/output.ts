import Table from "cli-table3";
import picocolors from "picocolors";

/** One document, or a line of text, on the standard output. */
export function print(text: string): void {
  process.stdout.write(`${shown(text)}\n`);
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
  process.stderr.write(`${shown(text)}\n`);
}

/** A colour as `colors` has them; else what a terminal would obey, or what hides the text beside it. */
const controls = /\p{Cc}\[(?:0|1|2|22|3\d|39)m|[\p{Cc}\p{Bidi_Control}]/gu;

/** Ids and messages are somebody's: what is in them is shown, in the escapes that JSON has, and does nothing. */
function shown(text: string, allowed: readonly string[] = ["\n", "\t"]): string {
  return text.replaceAll(controls, (found) =>
    found.startsWith("\u001B[") || allowed.includes(found)
      ? found
      : `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}${found.slice(1)}`,
  );
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
  const drawn = new Table({
    head: headings.map((heading) => colors.bold(shown(heading, []))),
    chars: emptyFrame,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 2 },
  });
  drawn.push(...rows.map((row) => row.map((cell) => shown(cell, []))));
  return drawn
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

const sides = ["top", "bottom", "left", "right"];
const places = [...sides, ...sides.map((side) => `${side}-mid`), "mid", "mid-mid", "middle"];
const corners = ["top-left", "top-right", "bottom-left", "bottom-right"];
const emptyFrame = Object.fromEntries([...places, ...corners].map((place) => [place, ""]));
