import { InvalidValueError } from "./errors.ts";

/** The JSON functions of SQLite reject deeper nesting. */
const maxDepth = 1000;

const identifier = /^[A-Za-z_$][\w$]*$/;

/**
 * The JSON text of `value`. `decodeJson` returns an equal value.
 *
 * A `Uint8Array` becomes `{"$gorkflow.bytes":"…"}` in base64. A key of this name gets another `$`. Undefined properties are
 * left out. `path` is the name of the value in errors: `input.items[2]`.
 *
 * @throws {InvalidValueError} if JSON would change or drop a part (NaN, Infinity, -0, bigint, Date, Map, other typed arrays,
 *   class instances, functions, symbols, accessors, cycles, sparse arrays, undefined at the top or in an array), if it is
 *   nested deeper than 1000, or if the text is longer than `maxBytes` in UTF-8.
 */
export function encodeJson(value: unknown, path: string, maxBytes: number): string {
  const place: Place = { root: path, keys: [], ancestors: [], needsMarks: false };
  check(value, place);
  const text = JSON.stringify(place.needsMarks ? withMarks(value) : value);
  // A UTF-16 unit is at most three bytes of UTF-8, so short text need not be measured.
  if (text.length * 3 > maxBytes) {
    const bytes = utf8ByteLength(text);
    if (bytes > maxBytes) {
      throw refused(path, `is ${bytes} bytes of JSON; at most ${maxBytes} are stored`);
    }
  }
  return text;
}

/** The value of a text that `encodeJson` returned. @throws {SyntaxError} if the text is not JSON. */
export function decodeJson(text: string): unknown {
  return withoutMarks(JSON.parse(text), text);
}

/** The text of a value that `decodeJson` returned. It is not checked. */
export function encodeDecoded(value: unknown): string {
  return JSON.stringify(withMarks(value));
}

/** The member name of an object, as JSON text. */
export function encodeKey(key: string): string {
  return JSON.stringify(withMarkedKey(key));
}

/**
 * What `decodeJson` returns for text of any origin. Undefined if the text is not JSON, or has a number that JavaScript would change: -0, a number
 * beyond the range of a double, or an inexact integer.
 */
export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    let mayBeTiny: boolean | undefined;
    // Checks the parsed numbers first, because searching the text takes longer than parsing it. A zero needs the search,
    // which is made once: many texts have a zero in every row.
    const mayHaveChanged = (number: number): boolean =>
      number === 0
        ? Object.is(number, -0) || (mayBeTiny ??= tiny.test(text))
        : Math.abs(number) > Number.MAX_SAFE_INTEGER;
    if (hasNumber(value, mayHaveChanged) && !keepsNumbers(text)) return undefined;
    return withoutMarks(value, text);
  } catch {
    // The message of the parser quotes the text, so it is dropped.
    return undefined;
  }
}

const bytesKey = "$gorkflow.bytes";
/** The marker, and the keys of an app that resemble it. */
const markedKey = /^\$+gorkflow\.bytes$/;

function withMarkedKey(key: string): string {
  return markedKey.test(key) ? `$${key}` : key;
}

/** A copy of a plain value in which bytes are text, and keys that resemble the marker differ from it. */
export function withMarks(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withMarks);
  if (isBytes(value)) return { [bytesKey]: toBase64(value) };
  return mapEntries(value, withMarkedKey, withMarks);
}

/** The opposite of `withMarks` for the value of `text`. An object that only resembles bytes stays unchanged. */
function withoutMarks(value: unknown, text: string): unknown {
  return text.includes(bytesKey) ? unmark(value) : value;
}

function unmark(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(unmark);
  const [[key, content] = [], another] = Object.entries(value);
  const bytes = key === bytesKey && another === undefined ? fromBase64(content) : null;
  if (bytes !== null) return bytes;
  const keyOf = (name: string) =>
    name !== bytesKey && markedKey.test(name) ? name.slice(1) : name;
  return mapEntries(value, keyOf, unmark);
}

function mapEntries(
  object: object,
  keyOf: (key: string) => string,
  valueOf: (value: unknown) => unknown,
): object {
  const entries = Object.entries(object) as [string, unknown][];
  return Object.fromEntries(entries.map(([key, value]) => [keyOf(key), valueOf(value)]));
}

/** True for a `Uint8Array` of any realm. False for instances of its subclasses, such as `Buffer`. */
export function isBytes(value: unknown): value is Uint8Array {
  return (
    ArrayBuffer.isView(value) &&
    (value as Uint8Array)[Symbol.toStringTag] === "Uint8Array" &&
    Object.hasOwn(Object.getPrototypeOf(value) as object, "BYTES_PER_ELEMENT")
  );
}

const base64Digits = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
);

/** `btoa` needs a string and takes ten times as long. */
function toBase64(bytes: Uint8Array): string {
  const digits = new Uint8Array(Math.ceil(bytes.length / 3) * 4).fill("=".charCodeAt(0));
  for (let from = 0, to = 0; from < bytes.length; from += 3, to += 4) {
    const [first = 0, second = 0, third = 0] = [bytes[from], bytes[from + 1], bytes[from + 2]];
    const group = (first << 16) | (second << 8) | third;
    const used = Math.min(4, bytes.length - from + 1);
    for (let digit = 0; digit < used; digit++) {
      digits[to + digit] = base64Digits[(group >> (18 - 6 * digit)) & 63] ?? 0;
    }
  }
  return new TextDecoder().decode(digits);
}

/** Null if `toBase64` does not return this text. */
function fromBase64(text: unknown): Uint8Array | null {
  if (typeof text !== "string") return null;
  try {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let index = 0; index < bytes.length; index++) bytes[index] = binary.charCodeAt(index);
    return toBase64(bytes) === text ? bytes : null;
  } catch {
    return null;
  }
}

/** Matches text that may contain a number which is not 0 and parses as 0. */
const tiny = /[eE]-|0{300}/;
const numbers = /-?\d[\d.eE+-]*/g;

type Json = Readonly<Record<string, unknown>>;

function hasNumber(value: unknown, test: (number: number) => boolean): boolean {
  if (typeof value === "number") return test(value);
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) {
    for (const each of value) if (hasNumber(each, test)) return true;
  } else {
    for (const key in value) if (hasNumber((value as Json)[key], test)) return true;
  }
  return false;
}

/** True if parsing changes no number. `text` is valid JSON. */
function keepsNumbers(text: string): boolean {
  for (let start = 0; ;) {
    const quote = text.indexOf('"', start);
    const outside = text.slice(start, quote < 0 ? undefined : quote);
    for (const [token] of outside.matchAll(numbers)) if (!isKept(token)) return false;
    if (quote < 0) return true;
    start = endOfString(text, quote);
  }
}

/** The end of the string that begins at `quote`. A regular expression would overflow the stack on long strings. */
function endOfString(text: string, quote: number): number {
  for (let end = text.indexOf('"', quote + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
}

function isKept(token: string): boolean {
  const value = Number(token);
  // `JSON.stringify` writes 2 ** 60 with fewer digits than its exact value has.
  if (String(value) === token) return true;
  if (!Number.isFinite(value) || Object.is(value, -0)) return false;
  if (value === 0 && /^[^eE]*[1-9]/.test(token)) return false;
  return !/^-?\d+$/.test(token) || BigInt(token) === BigInt(value);
}

/** The length of `text` in UTF-8, in bytes. A lone surrogate counts as the three bytes of U+FFFD. */
export function utf8ByteLength(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      bytes += 1;
    } else {
      bytes += 2;
      if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(index + 1))) index++;
    }
  }
  return bytes;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

/** The place of the checked value. Its path is built only for an error. */
interface Place {
  readonly root: string;
  /** The keys from the root to the value. */
  readonly keys: (string | number)[];
  /** The objects that contain the value. */
  readonly ancestors: object[];
  /** True once a part was found that `withMarks` changes. */
  needsMarks: boolean;
}

function check(value: unknown, place: Place): void {
  switch (typeof value) {
    case "string":
    case "boolean":
      return;
    case "number":
      if (!Number.isFinite(value)) throw refusedAt(place, `${value} is not a JSON number`);
      if (Object.is(value, -0)) throw refusedAt(place, "-0 would be read back as 0");
      return;
    case "object":
      if (value === null) return;
      break;
    default:
      throw refusedAt(place, `a value of type ${typeof value} is not JSON`);
  }
  const { ancestors } = place;
  if (ancestors.length >= maxDepth) throw refusedAt(place, `is nested deeper than ${maxDepth}`);
  if (ancestors.includes(value)) throw refusedAt(place, "refers to a value that contains it");
  ancestors.push(value);
  if (Array.isArray(value)) checkArray(value, place);
  else if (ArrayBuffer.isView(value)) checkBytes(value, place);
  else checkObject(value, place);
  ancestors.pop();
}

function checkArray(array: readonly unknown[], place: Place): void {
  if (Object.getPrototypeOf(array) !== Array.prototype && !isForeignPlain(array)) {
    throw refusedAt(place, "an instance of a class would be read back as an array");
  }
  // The own keys of a dense array are its indexes and `length`.
  if (Reflect.ownKeys(array).length !== array.length + 1) {
    throw refusedAt(place, "an array with holes or with properties of its own is not JSON");
  }
  for (let index = 0; index < array.length; index++) {
    place.keys.push(index);
    const descriptor = Object.getOwnPropertyDescriptor(array, index);
    if (descriptor === undefined || !("value" in descriptor)) {
      throw refusedAt(place, "is an accessor");
    }
    check(descriptor.value, place);
    place.keys.pop();
  }
}

function checkObject(object: object, place: Place): void {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null && !isForeignPlain(object)) {
    throw refusedAt(place, "an instance of a class would be read back as a plain object");
  }
  for (const key of Reflect.ownKeys(object)) {
    if (typeof key === "symbol") throw refusedAt(place, "has a symbol for a key");
    const descriptor = Object.getOwnPropertyDescriptor(object, key);
    if (descriptor === undefined) continue;
    place.keys.push(key);
    if (!("value" in descriptor)) throw refusedAt(place, "is an accessor");
    if (!descriptor.enumerable) throw refusedAt(place, "is not enumerable");
    if (descriptor.value !== undefined) check(descriptor.value, place);
    if (key.startsWith("$") && markedKey.test(key)) place.needsMarks = true;
    place.keys.pop();
  }
}

/** Properties with names are not looked for: to list the keys of 3 MB of bytes takes seconds. */
function checkBytes(view: ArrayBufferView, place: Place): void {
  if (!isBytes(view)) {
    throw refusedAt(place, "of all views of bytes only a Uint8Array, not a subclass, is read back");
  }
  if (Object.getOwnPropertySymbols(view).length > 0) {
    throw refusedAt(place, "has a symbol for a key");
  }
  place.needsMarks = true;
}

/** True for plain objects and arrays of another realm, such as a vm context, which have another prototype. */
function isForeignPlain(object: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(object);
  if (prototype === null) return false;
  const name = Array.isArray(object) ? "isArray" : "getPrototypeOf";
  const constructor: unknown = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
  return (
    typeof constructor === "function" &&
    constructor.prototype === prototype &&
    Object.hasOwn(constructor, name) &&
    constructor.name === (Array.isArray(object) ? "Array" : "Object")
  );
}

function refusedAt({ root, keys }: Place, reason: string): InvalidValueError {
  const path = keys.reduce<string>((parent, key) => {
    if (typeof key === "number") return `${parent}[${key}]`;
    return identifier.test(key) ? `${parent}.${key}` : `${parent}[${JSON.stringify(key)}]`;
  }, root);
  return refused(path, reason);
}

function refused(path: string, reason: string): InvalidValueError {
  return new InvalidValueError({ path, reason });
}
