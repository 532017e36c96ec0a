import { Buffer } from "node:buffer";
import type { InArgs, IntMode, InValue } from "@libsql/client";

/** What the binding takes for a parameter. */
export type NativeValue = null | string | number | bigint | Uint8Array;

/** Positional parameters, or parameters by name without its prefix. */
export type NativeArguments = NativeValue[] | Record<string, NativeValue>;

export function toNativeArguments(
  args: InArgs | readonly NativeValue[] | undefined,
  intMode: IntMode,
): NativeArguments {
  if (args === undefined) return [];
  if (Array.isArray(args)) {
    return args.map((value: InValue) => toNativeValue(value, intMode));
  }
  return Object.fromEntries(
    Object.entries(args).map(([name, value]) => [
      name.replace(/^[@$:]/, ""),
      toNativeValue(value, intMode),
    ]),
  );
}

/** @throws {RangeError} {TypeError} for what SQLite cannot hold; the value is not quoted. */
function toNativeValue(value: InValue, intMode: IntMode): NativeValue {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
      if (Number.isFinite(value)) return value;
      throw new RangeError("Only finite numbers (not Infinity or NaN) can be passed as arguments");
    case "bigint":
      if (BigInt.asIntN(64, value) === value) return value;
      throw new RangeError(
        "bigint is too large to be represented as a 64-bit integer and passed as argument",
      );
    case "boolean":
      if (intMode === "bigint") return value ? 1n : 0n;
      if (intMode === "string") return value ? "1" : "0";
      return value ? 1 : 0;
    case "undefined":
      throw new TypeError("undefined cannot be passed as argument to the database");
  }
  if (value === null || value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  if (value instanceof Date) return value.valueOf();
  throw new TypeError(
    "only null, strings, numbers, bigints, booleans, dates and bytes can be passed",
  );
}

/** Roughly what a parameter adds to a transaction. */
export function sizeOf(value: InValue): number {
  if (typeof value === "string") return value.length;
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) return value.byteLength;
  return 8;
}
