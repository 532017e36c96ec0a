import { decodeJson, encodeJson } from "../../json.ts";

/** The stored form of an error, on a step and on its run. */
export interface StoredError {
  readonly name: string;
  readonly code?: string;
  readonly message: string;
  readonly details?: unknown;
  readonly cause?: StoredError;
}

/** The error of a failed step, with the number of the failed attempt. */
export interface StepFailure extends StoredError {
  readonly stepId: string;
  readonly attempt: number;
}

/*
 * In the worst case every character is escaped at every level. That fits in an error column:
 * 5 × (6 × (2048 + 2 × 255) + 8192) < 128 KiB.
 */
const maxMessageCharacters = 2048;
const maxNameCharacters = 255;
const maxDetailsBytes = 8 * 1024;
const maxLevels = 5;

/** Replaces a value that cannot be inspected by an error. A revoked proxy throws at every access. */
export function readable(thrown: unknown): unknown {
  try {
    void (thrown instanceof Error);
    return thrown;
  } catch {
    return new Error("a value that cannot be read was thrown");
  }
}

/** The code of an error, or its name. It contains no data. */
export function kindOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown;
  const code = property(thrown, "code");
  return typeof code === "string" ? code : textOf(thrown, "name", "Error");
}

/** The stored form of `thrown`: name, code, message, details and causes, each cut to a maximum size. */
export function describeFailure(thrown: unknown, stepId: string, attempt: number): StepFailure {
  return { ...describeError(thrown), stepId, attempt };
}

export function describeError(thrown: unknown, level = 1): StoredError {
  if (!(thrown instanceof Error)) {
    const message =
      typeof thrown === "string" ? thrown : `a value of type ${typeof thrown} was thrown`;
    return { name: "Error", message: cut(message, maxMessageCharacters) };
  }
  const code = property(thrown, "code");
  const details = storable(property(thrown, "details"));
  const cause = level < maxLevels ? property(thrown, "cause") : undefined;
  return {
    name: cut(textOf(thrown, "name", "Error"), maxNameCharacters),
    ...(isCode(code) && { code: cut(String(code), maxNameCharacters) }),
    message: cut(messageOf(thrown), maxMessageCharacters),
    ...(details !== undefined && { details }),
    ...(cause !== undefined && cause !== null && { cause: describeError(cause, level + 1) }),
  };
}

/** The logged form of `thrown`. A query error, or an error that it caused, is replaced by its description and stack. */
export function withoutBoundValues(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || !quotesValues(thrown)) return thrown;
  const places = textOf(thrown, "stack", "")
    .split("\n")
    .filter((line) => /^\s+at /.test(line));
  return { ...describeError(thrown), stack: places.join("\n") };
}

function quotesValues(error: Error, level = 1): boolean {
  if (queryOf(error) !== null) return true;
  if (level === maxLevels) return false;
  const errors = property(error, "errors");
  const parts = [property(error, "cause"), ...(Array.isArray(errors) ? errors : [])];
  return parts.some((part) => part instanceof Error && quotesValues(part, level + 1));
}

/** The query of a Drizzle error, whose message contains bound values; null for any other error. */
function queryOf(error: Error): string | null {
  const query = property(error, "query");
  return typeof query === "string" && property(error, "params") !== undefined ? query : null;
}

function messageOf(error: Error): string {
  const query = queryOf(error);
  return query === null ? textOf(error, "message", "") : `Failed query: ${query}`;
}

/** A text property of an error. An app can set it to any value. */
function textOf(error: Error, name: string, otherwise: string): string {
  const text = property(error, name);
  return typeof text === "string" ? text : otherwise;
}

function property(error: Error, name: string): unknown {
  try {
    return readable(Reflect.get(error, name));
  } catch {
    // A getter threw. The error itself matters more than its value.
    return undefined;
  }
}

function isCode(code: unknown): code is string | number {
  return (typeof code === "string" && code !== "") || typeof code === "number";
}

/** A copy of `details`; undefined if JSON cannot represent it or it is too large. */
function storable(details: unknown): unknown {
  if (details === undefined) return undefined;
  try {
    return decodeJson(encodeJson(details, "details", maxDetailsBytes));
  } catch {
    // A new error would hide the original one.
    return undefined;
  }
}

function cut(text: string, maxCharacters: number): string {
  if (text.length <= maxCharacters) return text;
  return `${text.slice(0, maxCharacters - 1)}…`.toWellFormed();
}
