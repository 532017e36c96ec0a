import type { InArgs, InStatement, InValue } from "@libsql/client";
import { sizeOf } from "./bound-values.ts";
import type { ClientStatement } from "./native-connection.ts";

/** The forms in which the `Client` interface accepts a statement. */
export type AnyStatement = InStatement | string | [string, InArgs?];

export function normalize(statement: AnyStatement, args?: InArgs): ClientStatement {
  if (typeof statement === "string") return { sql: statement, args };
  if (Array.isArray(statement)) return { sql: statement[0], args: statement[1] };
  return statement;
}

/** The approximate size of the values in bytes. */
export function bytesOf(statements: readonly ClientStatement[]): number {
  let bytes = 0;
  for (const { args } of statements) {
    const values: Iterable<InValue> =
      args instanceof Map || Array.isArray(args) ? args.values() : Object.values(args ?? {});
    for (const value of values) bytes += sizeOf(value);
  }
  return bytes;
}
