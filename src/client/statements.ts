import type { InArgs, InStatement, IntMode } from "@libsql/client";
import { sizeOf, toNativeArguments, type NativeArguments } from "./bound-values.ts";

/** A SQL statement, and its values at the time of the call. */
export interface ClientStatement {
  readonly sql: string;
  readonly args: NativeArguments;
  /** The error of a value that cannot be bound, which a batch throws after the statements before it. */
  readonly invalid?: unknown;
}

/** The forms in which the `Client` interface accepts a statement. */
export type AnyStatement = InStatement | string | [string, InArgs?];

/**
 * Copies the statement and its values, because the caller may change them before the statement runs.
 *
 * @throws if a value cannot be bound.
 */
export function takeStatement(
  statement: AnyStatement,
  intMode: IntMode,
  beside?: InArgs,
): ClientStatement {
  const [sql, args] =
    typeof statement === "string"
      ? [statement, beside]
      : Array.isArray(statement)
        ? statement
        : [statement.sql, statement.args];
  return { sql, args: toNativeArguments(args, intMode) };
}

/** Copies the statements of a batch. @throws if a value of the first one cannot be bound. */
export function takeBatch(
  statements: readonly AnyStatement[],
  intMode: IntMode,
): ClientStatement[] {
  return statements.map((statement, index) => {
    try {
      return takeStatement(statement, intMode);
    } catch (error) {
      if (index === 0) throw error;
      return { sql: "", args: [], invalid: error };
    }
  });
}

/** The approximate size of the values in bytes. */
export function bytesOf(statements: readonly Pick<ClientStatement, "args">[]): number {
  let bytes = 0;
  for (const { args } of statements) for (const value of args.values()) bytes += sizeOf(value);
  return bytes;
}
