import type { IntMode, ResultSet, Row, Value } from "@libsql/client";
import { BrokenText } from "../broken-text.ts";
import type { ReadInteger } from "./packed-rows.ts";
import { brokenText } from "./sqlite-errors.ts";
import type { Columns } from "./statement-cache.ts";

/** A cell of the binding, with integers as bigints, or of a packed row. */
export type NativeCell = null | string | number | bigint | Uint8Array;

/** How a packed row reads integers. @throws {RangeError} in mode `number` for one that a number cannot hold. */
export const readIntegerAs: Readonly<Record<IntMode, ReadInteger>> = {
  number: (digits) => safeInteger(Number(digits)),
  bigint: BigInt,
  string: String,
};

/** The result of a statement that returns rows. */
export function resultOfRows({ names, types }: Columns, rows: Row[]): ResultSet {
  return makeResultSet({
    columns: [...names],
    columnTypes: [...types],
    rows,
    rowsAffected: 0,
    lastInsertRowid: undefined,
  });
}

/**
 * @throws {LibsqlError} `TEXT_NOT_UTF8`
 * @throws {RangeError} in mode `number` for an integer that a number cannot hold.
 */
export function rowOf(columns: Columns, cells: readonly NativeCell[], intMode: IntMode): Row {
  return makeRow(
    columns.names,
    cells.map((cell, index) => {
      if (cell instanceof BrokenText) throw brokenText(columns, index);
      return cellValue(cell, intMode);
    }),
  );
}

/** The result of a statement that returns no rows. */
export function resultOfChange(rowsAffected: number, lastInsertRowid: bigint): ResultSet {
  return makeResultSet({ columns: [], columnTypes: [], rows: [], rowsAffected, lastInsertRowid });
}

function makeResultSet(content: Omit<ResultSet, "toJSON">): ResultSet {
  const resultSet: ResultSet = {
    ...content,
    toJSON: () => ({
      columns: content.columns,
      columnTypes: content.columnTypes,
      rows: content.rows.map((row) => Array.from(row, jsonValue)),
      rowsAffected: content.rowsAffected,
      lastInsertRowid:
        content.lastInsertRowid === undefined ? null : String(content.lastInsertRowid),
    }),
  };
  Object.defineProperty(resultSet, "toJSON", { enumerable: false });
  return resultSet;
}

function jsonValue(value: Value): unknown {
  if (typeof value === "bigint") return String(value);
  return value instanceof ArrayBuffer ? Buffer.from(value).toString("base64") : value;
}

function safeInteger(value: number): number {
  if (Number.isSafeInteger(value)) return value;
  throw new RangeError(
    "Received integer which cannot be safely represented as a JavaScript number",
  );
}

function cellValue(cell: NativeCell, intMode: IntMode): Value {
  if (typeof cell === "bigint") {
    if (intMode === "bigint") return cell;
    if (intMode === "string") return String(cell);
    return safeInteger(Number(cell));
  }
  // A copy, because the buffer of the cell may hold other bytes too.
  return cell instanceof Uint8Array ? new Uint8Array(cell).buffer : cell;
}

/**
 * A row as `@libsql/client` creates it: a plain object with a property for each position and each name. Only the names
 * are enumerable. If several columns have the same name, the property has the value of the first.
 */
function makeRow(columns: readonly string[], values: readonly Value[]): Row {
  const row: Record<string, Value> = {};
  Object.defineProperty(row, "length", { value: columns.length });
  for (let position = 0; position < columns.length; position++) {
    const value = values[position] as Value;
    Object.defineProperty(row, position, { value });
    const name = columns[position] as string;
    if (Object.hasOwn(row, name)) continue;
    // An assignment is ten times as fast, but would call the setter of `__proto__`.
    if (name !== "__proto__") row[name] = value;
    else
      Object.defineProperty(row, name, {
        value,
        enumerable: true,
        configurable: true,
        writable: true,
      });
  }
  return row as unknown as Row;
}
