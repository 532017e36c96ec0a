import type { ResultSet, Value } from "@libsql/client";
import type { StatementResult } from "./connection.ts";

/** A client's result set as plain arrays. */
export function resultOf(result: ResultSet): StatementResult {
  return {
    rows: result.rows.map((row) => Array.prototype.slice.call(row) as Value[]),
    changes: result.rowsAffected,
  };
}
