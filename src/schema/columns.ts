import { customType, integer } from "drizzle-orm/sqlite-core";
import { encodeJson } from "../json.ts";

/** A moment in time: INTEGER milliseconds since the epoch (UTC) in the database, `Date` in TypeScript. */
export function time<Name extends string>(name: Name) {
  return integer(name, { mode: "timestamp_ms" });
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
export function json<T = unknown>(name: string, maxBytes: number) {
  return customType<{ data: T; driverData: string }>({
    dataType: () => "text",
    toDriver: (value) => encodeJson(value, name, maxBytes),
    fromDriver: (text) => JSON.parse(text) as T,
  })(name);
}
