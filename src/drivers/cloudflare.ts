import { DriverError } from "./driver-error.ts";

// What D1 and the storage of Durable Objects have in common.

/** The maximum size of a value and of a row, in bytes. */
export const maxRowBytes = 2_000_000;

/** The number of selects that a UNION may have. */
export const maxUnionTerms = 5;

/** The error with the code of SQLite, which is at the end of the message. */
export function cloudflareError(error: unknown): unknown {
  const found = /^(?:D1_ERROR: )?([^]*): (SQLITE_\w+)(?: \(extended: (SQLITE_\w+)\))?$/.exec(
    error instanceof Error ? error.message : "",
  );
  if (found === null) return error;
  const [, message = "", code = "", extended = code] = found;
  return new DriverError(message, extended, error);
}
