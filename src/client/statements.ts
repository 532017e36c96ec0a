import type { InArgs, InStatement } from "@libsql/client";
import { sizeOf } from "./bound-values.ts";
import type { ClientStatement } from "./native-connection.ts";

/** The ways in which the `Client` interface takes a statement. */
export type AnyStatement = InStatement | string | [string, InArgs?];

export function normalize(statement: AnyStatement, args?: InArgs): ClientStatement {
  if (typeof statement === "string") return { sql: statement, args };
  if (Array.isArray(statement)) return { sql: statement[0], args: statement[1] };
  return statement;
}

/** Roughly what the parameters add to a transaction. */
export function bytesOf(statements: readonly ClientStatement[]): number {
  return statements.reduce(
    (sum, { args }) =>
      sum + Object.values(args ?? []).reduce<number>((size, value) => size + sizeOf(value), 0),
    0,
  );
}
