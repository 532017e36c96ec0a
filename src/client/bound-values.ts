import { LibsqlError, type InArgs, type IntMode, type InValue } from "@libsql/client/sqlite3";

/** A value that the binding accepts for a parameter. */
export type NativeValue = null | string | number | bigint | Uint8Array;

/** The names of the parameters of a statement in order; null for a parameter without a name. */
export type Parameters = readonly (string | null)[];

/** Values by position, or by name without its prefix. */
export type NativeArguments = readonly NativeValue[] | ReadonlyMap<string, NativeValue>;

/** The values of a statement. They are copies. @throws as `toNativeValue`. */
export function toNativeArguments(
  args: InArgs | null | undefined,
  intMode: IntMode,
): NativeArguments {
  if (args === undefined || args === null) return [];
  if (Array.isArray(args)) return args.map((value) => toNativeValue(value, intMode));
  return new Map(
    Object.entries(args).map(([name, value]) => [
      name.replace(/^[@$:]/, ""),
      toNativeValue(value, intMode),
    ]),
  );
}

/**
 * One value for each parameter, NULL for those without a value. A native statement keeps the values of its last use, so
 * none may be missing.
 *
 * @throws {LibsqlError} `ARGS_INVALID` for values by name if a parameter has no name.
 */
export function bind(values: NativeArguments, parameters: Parameters): readonly NativeValue[] {
  if (values instanceof Map) {
    return parameters.map((name) => {
      if (name !== null) return values.get(name) ?? null;
      throw new LibsqlError(
        "the statement has parameters without a name: their values must be an array",
        "ARGS_INVALID",
      );
    });
  }
  const positional = values as readonly NativeValue[];
  if (positional.length === parameters.length) return positional;
  return parameters.map((_, position) => positional[position] ?? null);
}

/**
 * @throws {RangeError} for a number that SQLite cannot store.
 * @throws {TypeError} for a value of another type. The message does not contain the value.
 */
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
  if (value === null) return value;
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value.slice(0));
  if (value instanceof Date) return value.valueOf();
  throw new TypeError(
    "only null, strings, numbers, bigints, booleans, dates and bytes can be passed",
  );
}

/** The approximate size of a value in bytes. */
export function sizeOf(value: NativeValue): number {
  if (typeof value === "string") return value.length;
  return value instanceof Uint8Array ? value.byteLength : 8;
}
