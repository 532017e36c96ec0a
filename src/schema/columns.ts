import * as core from "drizzle-orm/sqlite-core";
import type {
  IntegerBuilder,
  JsonBuilder,
  RealBuilder,
  TextBuilder,
  TimeBuilder,
} from "../drizzle-types.ts";
import { decodeJson, encodeJson } from "../json.ts";

export function text<Name extends string>(name: Name): TextBuilder<Name> {
  return core.text(name);
}

/** Text that is one of `values`. The compiler and the codecs check it, but not the database. */
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

/** A time: INTEGER milliseconds since 1970 (UTC) in the database, `Date` in TypeScript. */
export function time<Name extends string>(name: Name): TimeBuilder<Name> {
  return core.integer(name, { mode: "timestamp_ms" });
}

/** The time of a write. It defaults to the current time. */
export function writeTime<Name extends string>(name: Name) {
  return time(name)
    .notNull()
    .$defaultFn(() => new Date());
}

const KiB = 1024;
const MiB = 1024 * KiB;

/**
 * The maximum bytes of UTF-8 of each kind of JSON value.
 *
 * A libSQL server rejects rows above 5,000,000 bytes. The largest row (a run with input, output, error, context and tags)
 * is smaller.
 */
export const jsonLimits = {
  payload: 2 * MiB,
  value: 4 * MiB,
  detail: 128 * KiB,
} as const satisfies Record<string, number>;

/** JSON of the app in TEXT. A value that JSON would change is rejected when it is written. */
export function json<T = unknown>(name: string, maxBytes: number): JsonBuilder<T> {
  return core.customType<{ data: T; driverData: string }>({
    dataType: () => "text",
    toDriver: (value) => encodeJson(value, name, maxBytes),
    fromDriver: (encoded) => decodeJson(encoded) as T,
  })(name);
}
