import type { IntMode, ResultSet, Row, Value } from "@libsql/client";
import type { Columns } from "./statement-cache.ts";

/** What the binding gives for a cell; integers as bigints. */
export type NativeCell = null | string | number | bigint | Uint8Array;

/** The answer to a statement that gives rows. */
export function resultOfRows(
  { names, types }: Columns,
  rows: readonly (readonly NativeCell[])[],
  intMode: IntMode,
): ResultSet {
  const makeRow = rowMaker(names);
  return makeResultSet({
    columns: [...names],
    columnTypes: [...types],
    rows: rows.map((cells) => makeRow(cells.map((cell) => cellValue(cell, intMode)))),
    rowsAffected: 0,
    lastInsertRowid: undefined,
  });
}

/** The answer to a statement that gives none. */
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

/** @throws {RangeError} in mode `number` for an integer that a number cannot hold. */
function cellValue(cell: NativeCell, intMode: IntMode): Value {
  if (typeof cell === "bigint") {
    if (intMode === "bigint") return cell;
    if (intMode === "string") return String(cell);
    const value = Number(cell);
    if (Number.isSafeInteger(value)) return value;
    throw new RangeError(
      "Received integer which cannot be safely represented as a JavaScript number",
    );
  }
  // A copy, so that the buffer holds these bytes and no others.
  return cell instanceof Uint8Array ? new Uint8Array(cell).buffer : cell;
}

type MakeRow = (values: readonly Value[]) => Row;

/**
 * Makes rows that are read by position and by name, of which the names are enumerable.
 *
 * Positions are getters on a prototype that all rows of a result share, and names are plain assignments:
 * defining both on each row is most of the cost of a large result.
 */
function rowMaker(columns: readonly string[]): MakeRow {
  if (!columns.every(isPlainName) || new Set(columns).size < columns.length) {
    return (values) => defineRow(columns, values);
  }
  const prototype: object = Object.create(Object.prototype, {
    length: { value: columns.length },
    ...Object.fromEntries(
      columns.map((column, position) => [
        position,
        {
          get(this: Record<string, Value>) {
            return this[column];
          },
        },
      ]),
    ),
  });
  return (values) => {
    const row = Object.create(prototype) as Record<string, Value | undefined>;
    for (let position = 0; position < columns.length; position++) {
      row[columns[position] as string] = values[position];
    }
    return row as unknown as Row;
  };
}

/** False for names that would be taken for a position, or that mean something to every object. */
function isPlainName(name: string): boolean {
  return name !== "length" && name !== "__proto__" && !/^\d+$/.test(name);
}

/** The row of a result in which a position cannot be read through its name. The first of a name has it. */
function defineRow(columns: readonly string[], values: readonly Value[]): Row {
  const row: object = Object.create(Object.prototype, { length: { value: columns.length } });
  for (const [position, value] of values.entries()) {
    Object.defineProperty(row, position, { value });
    const name = columns[position] ?? "";
    if (Object.hasOwn(row, name)) continue;
    Object.defineProperty(row, name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return row as Row;
}
