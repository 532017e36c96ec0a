import { isBytes, withMarks } from "../json.ts";
import type { Redaction } from "./options.ts";

/** A payload as text. */
export interface PayloadText {
  /** JSON, cut after `previewLength` characters. */
  readonly text: string;
  /** The number of characters of the whole text. */
  readonly length: number;
}

const previewLength = 20_000;
/** Deeper values are not indented, because the indentation would be most of the text. */
const deepest = 60;

export function previewOf(value: unknown, length = previewLength): PayloadText {
  const text = textOf(value);
  return { text: text.slice(0, length), length: text.length };
}

/** The value as JSON, indented unless it is deep. */
export function textOf(value: unknown): string {
  return JSON.stringify(value, null, depthOf(value) > deepest ? 0 : 2) ?? "null";
}

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let depth = 0;
  for (const child of Object.values(value)) depth = Math.max(depth, depthOf(child));
  return depth + 1;
}

const mostCauses = 20;
const longestCause = 2000;

/** The name and the message of a stored error, and those of its causes. */
export function causesOf(error: unknown): string[] {
  const causes: string[] = [];
  for (
    let each = error;
    typeof each === "object" && each !== null && causes.length < mostCauses;
    each = (each as { readonly cause?: unknown }).cause
  ) {
    const { name, message, code } = each as Readonly<Record<string, unknown>>;
    const words = [name ?? code, message].filter((word) => typeof word === "string");
    if (words.length > 0) causes.push(words.join(": ").slice(0, longestCause));
  }
  return causes;
}

const redactedText = "[redacted]";
const failedText = "[redacted: the function redact failed for this value]";

/** Returns a function that replaces the values that must not be shown. `place` is the beginning of their paths. */
export function createRedactor(
  redact: readonly string[] | Redaction,
): (place: string, value: unknown) => unknown {
  const replace = typeof redact === "function" ? redactionBy(redact) : redactionOf(redact);
  const visit = (path: readonly string[], value: unknown): unknown => {
    const shown = replace(path, value);
    // JSON has no bytes: they are shown as they are stored.
    if (isBytes(shown)) return withMarks(shown);
    if (shown !== value || typeof shown !== "object" || shown === null) return shown;
    if (Array.isArray(shown)) {
      return shown.map((each, index) => visit([...path, String(index)], each));
    }
    return Object.fromEntries(
      Object.entries(shown).map(([key, each]) => [key, visit([...path, key], each)]),
    );
  };
  return (place, value) => visit([place], value);
}

/** The app's function. If it fails, or returns what JSON cannot hold, the value is hidden. */
function redactionBy(redact: Redaction): Redaction {
  return (path, value) => {
    try {
      const shown = redact(path, value);
      if (shown !== value && !isBytes(shown)) JSON.stringify(shown);
      return shown;
    } catch {
      return failedText;
    }
  };
}

function redactionOf(names: readonly string[]): Redaction {
  const patterns = names
    .map((name) => Array.from(wordsOf(name).replaceAll("-", "")))
    // The words of a name may be written as one, and the other way round.
    .map((each) => ({ text: each.join("-?"), isLong: each.length >= shortestInsideWord }))
    .map(({ text, isLong }) => (isLong ? text : `(?<![^-])${text}s?(?![^-])`));
  if (patterns.length === 0) return (_, value) => value;
  const secret = new RegExp(patterns.join("|"), "u");
  return (path, value) =>
    path.length > 1 && secret.test(wordsOf(path.at(-1) ?? "")) ? redactedText : value;
}

/** A name of fewer letters would match inside unrelated words, as `pin` does in `shipping`. */
const shortestInsideWord = 8;

/** `db-password-2` for `dbPassword2`, `DB_PASSWORD_2`, `DBPassword2` and `db.password[2]`. */
const wordsOf = (key: string) => key.normalize().replaceAll(wordBoundary, "-").toLowerCase();

const wordBoundary =
  /[^\p{L}\p{N}]+|(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})|(?<=\p{L})(?=\p{N})|(?<=\p{N})(?=\p{L})/gu;
