import { encodeJson } from "../../json.ts";

/** An error as it is stored on a step and on its run. */
export interface StoredError {
  readonly name: string;
  readonly code?: string;
  readonly message: string;
  readonly details?: unknown;
  readonly cause?: StoredError;
}

/** The error of a step that failed, with the attempt at which it did. */
export interface StepFailure extends StoredError {
  readonly stepId: string;
  readonly attempt: number;
}

/*
 * The worst case, every character escaped at every level, stays below what an error column takes:
 * 5 × (6 × (2048 + 2 × 255) + 8192) < 128 KiB.
 */
const maxMessageCharacters = 2048;
const maxNameCharacters = 255;
const maxDetailsBytes = 8 * 1024;
const maxLevels = 5;

/** `thrown`, or an error in its place where nobody may as much as look at it: a proxy can throw at everything. */
export function readable(thrown: unknown): unknown {
  try {
    void (thrown instanceof Error);
    return thrown;
  } catch {
    return new Error("a value that cannot be read was thrown");
  }
}

/** The code of an error, or its name: what tells its kind without its content. */
export function kindOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown;
  const code = property(thrown, "code");
  return typeof code === "string" ? code : textOf(thrown, "name", "Error");
}

/** `thrown` as it is stored: names, codes and messages, cut to a size, with its causes. */
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

/**
 * `thrown` as it may be logged: as it is, but for the error of a query, and for what one of them has caused. Those
 * are described, with the places where they were thrown.
 */
export function withoutBoundValues(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || !quotesValues(thrown)) return thrown;
  const places = textOf(thrown, "stack", "")
    .split("\n")
    .filter((line) => /^\s+at /.test(line));
  return { ...describeError(thrown), stack: places.join("\n") };
}

function quotesValues(error: Error, level = 1): boolean {
  if (queryOf(error) !== null) return true;
  const cause = property(error, "cause");
  return level < maxLevels && cause instanceof Error && quotesValues(cause, level + 1);
}

/** The query whose bound values Drizzle has put into the error's message; null for any other error. */
function queryOf(error: Error): string | null {
  const query = property(error, "query");
  return typeof query === "string" && property(error, "params") !== undefined ? query : null;
}

function messageOf(error: Error): string {
  const query = queryOf(error);
  return query === null ? textOf(error, "message", "") : `Failed query: ${query}`;
}

/** Anybody may have set an error's name and message to anything. */
function textOf(error: Error, name: string, otherwise: string): string {
  const text = property(error, name);
  return typeof text === "string" ? text : otherwise;
}

function property(error: Error, name: string): unknown {
  try {
    return readable(Reflect.get(error, name));
  } catch {
    // A getter that throws: what it would have said is not worth the error that it belongs to.
    return undefined;
  }
}

function isCode(code: unknown): code is string | number {
  return (typeof code === "string" && code !== "") || typeof code === "number";
}

/** `details` as JSON would give it back; undefined when JSON cannot carry it, or it is too large. */
function storable(details: unknown): unknown {
  if (details === undefined) return undefined;
  try {
    return JSON.parse(encodeJson(details, "details", maxDetailsBytes));
  } catch {
    // An error about the error would hide the one that matters.
    return undefined;
  }
}

function cut(text: string, maxCharacters: number): string {
  if (text.length <= maxCharacters) return text;
  return `${text.slice(0, maxCharacters - 1)}…`.toWellFormed();
}
