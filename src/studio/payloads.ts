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

/** Returns a function that replaces the values that must not be shown. `place` is the beginning of their paths. */
export function createRedactor(
  redact: readonly string[] | Redaction,
): (place: string, value: unknown) => unknown {
  const replace = typeof redact === "function" ? redact : redactionOf(redact);
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

function redactionOf(keys: readonly string[]): Redaction {
  const hidden = new Set(keys.map(plain));
  return (path, value) =>
    path.length > 1 && hidden.has(plain(path.at(-1) ?? "")) ? redactedText : value;
}

const plain = (key: string) => key.toLowerCase().replaceAll(/[_-]/g, "");
