import * as core from "drizzle-orm/sqlite-core";
import type {
  IntegerBuilder,
  JsonBuilder,
  RealBuilder,
  TextBuilder,
  TimeBuilder,
} from "../drizzle-types.ts";
import { encodeJson } from "../json.ts";

export function text<Name extends string>(name: Name): TextBuilder<Name> {
  return core.text(name);
}

/** Text that is one of `values`, as far as the compiler and the codecs go. */
export function oneOf<Name extends string, const Values extends readonly [string, ...string[]]>(
  name: Name,
  values: Values,
): TextBuilder<Name, Writable<Values>> {
  return core.text(name, { enum: values });
}

type Writable<Values extends readonly unknown[]> = {
  -readonly [Index in keyof Values]: Values[Index];
};

export function integer<Name extends string>(name: Name): IntegerBuilder<Name> {
  return core.integer(name);
}

export function real<Name extends string>(name: Name): RealBuilder<Name> {
  return core.real(name);
}

/** A moment in time: INTEGER milliseconds since the epoch (UTC) in the database, `Date` in TypeScript. */
export function time<Name extends string>(name: Name): TimeBuilder<Name> {
  return core.integer(name, { mode: "timestamp_ms" });
}

const KiB = 1024;
const MiB = 1024 * KiB;

/**
 * The most that each kind of JSON value may take, in bytes of UTF-8, once encoded.
 *
 * A libSQL server refuses a row of more than about 5,000,000 bytes: the largest row that these allow (a run
 * with input, output, error, context and tags) stays below.
 */
export const jsonLimits = {
  payload: 2 * MiB,
  value: 4 * MiB,
  detail: 128 * KiB,
} as const satisfies Record<string, number>;

/** The user's own content: strict JSON in TEXT. What JSON would change is refused when it is written. */
export function json<T = unknown>(name: string, maxBytes: number): JsonBuilder<T> {
  return core.customType<{ data: T; driverData: string }>({
    dataType: () => "text",
    toDriver: (value) => encodeJson(value, name, maxBytes),
    fromDriver: (encoded) => JSON.parse(encoded) as T,
  })(name);
}
