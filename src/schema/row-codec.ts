import { getTableColumns, getTableName } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { CorruptRowError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { isInputFrom, isTags } from "./zod.ts";

/** What the database holds in one cell. */
export type Cell = string | number | null;

/** A row as the database holds it, by property name: JSON as text, times as milliseconds. */
export type EncodedRow<Row> = { [Property in keyof Row]: Cell };

interface CellCodec {
  readonly encode: (value: unknown) => Cell;
  /** The value, or undefined when the cell cannot be one. */
  readonly decode: (cell: unknown) => unknown;
}

/**
 * Rows of one table between TypeScript and the database, derived from the table's columns.
 *
 * Both stores use it, so that what they accept, store and hand out is the same to the byte.
 */
export interface RowCodec<Row> {
  readonly table: string;
  readonly properties: readonly (keyof Row & string)[];
  /** @throws {InvalidValueError} for a value that JSON would change, or one that is too large. */
  encode<Part extends Partial<Row>>(row: Part): EncodedRow<Part>;
  encodeCell<Property extends keyof Row & string>(property: Property, value: Row[Property]): Cell;
  /** @throws {CorruptRowError} that names the cell. */
  decode(encoded: EncodedRow<Row>): Row;
  /** Decodes the cells of `properties`, in their order. @throws {CorruptRowError} that names the cell. */
  decodeCells<Property extends keyof Row & string>(
    properties: readonly Property[],
    cells: ArrayLike<unknown>,
  ): Pick<Row, Property>;
}

export function createRowCodec<
  // Since 1.0 the class of all tables does not have it itself.
  Table extends SQLiteTable & { readonly $inferSelect: Record<string, unknown> },
>(
  table: Table,
  keyProperties: readonly (keyof Table["$inferSelect"] & string)[],
): RowCodec<Table["$inferSelect"]> {
  type Row = Table["$inferSelect"];
  type Property = keyof Row & string;
  const columns: Record<string, SQLiteColumn> = getTableColumns(table);
  const properties = Object.keys(columns) as Property[];
  const codecs = new Map(properties.map((name) => [name, cellCodec(columnOf(name))] as const));
  const entries = [...codecs];
  const tableName = getTableName(table);
  /** By list of properties: each is a constant, and looking up every cell is a third of the cost of a row. */
  const decodersOf = new WeakMap<readonly string[], CellCodec["decode"][]>();

  function columnOf(name: Property): SQLiteColumn {
    const column = columns[name];
    if (column === undefined) throw new TypeError(`${tableName} has no column for ${name}`);
    return column;
  }

  function codecOf(name: Property): CellCodec {
    return codecs.get(name) ?? cellCodec(columnOf(name));
  }

  function corrupt(name: Property, cellOf: (key: Property) => unknown): CorruptRowError {
    const key = Object.fromEntries(
      keyProperties.map((part) => [columnOf(part).name, String(cellOf(part))]),
    );
    return new CorruptRowError({ table: tableName, key, column: columnOf(name).name });
  }

  return {
    table: tableName,
    properties,
    encode(row) {
      const encoded: Record<string, Cell> = {};
      for (const name in row) {
        const codec = codecs.get(name);
        if (codec !== undefined) encoded[name] = codec.encode(row[name]);
      }
      return encoded as EncodedRow<typeof row>;
    },
    encodeCell: (name, value) => codecOf(name).encode(value),
    decode(encoded) {
      const row: Record<string, unknown> = {};
      for (const [name, { decode }] of entries) {
        const value = decode(encoded[name]);
        if (value === undefined) throw corrupt(name, (key) => encoded[key]);
        row[name] = value;
      }
      return row;
    },
    decodeCells(names, cells) {
      let decoders = decodersOf.get(names);
      if (decoders === undefined) {
        decoders = names.map((name) => codecOf(name).decode);
        decodersOf.set(names, decoders);
      }
      const row: Record<string, unknown> = {};
      for (let index = 0; index < names.length; index++) {
        const name = names[index] as Property;
        const value = decoders[index]?.(cells[index]);
        if (value === undefined) {
          throw corrupt(name, (key) => cells[(names as readonly string[]).indexOf(key)]);
        }
        row[name] = value;
      }
      return row as Row;
    },
  };
}

function cellCodec(column: SQLiteColumn): CellCodec {
  const codec = presentCellCodec(column);
  // JSON null in a column that is NOT NULL is a value like any other: the text `null`.
  if (column.notNull) return codec;
  return {
    encode: (value) => (value === null ? null : codec.encode(value)),
    decode: (cell) => (cell === null ? null : codec.decode(cell)),
  };
}

function presentCellCodec(column: SQLiteColumn): CellCodec {
  switch (column.columnType) {
    case "SQLiteText": {
      const allowed =
        column.enumValues === undefined || column.enumValues.length === 0
          ? null
          : new Set<unknown>(column.enumValues);
      return {
        encode: (value) => value as string,
        decode: (cell) =>
          typeof cell === "string" && (allowed === null || allowed.has(cell)) ? cell : undefined,
      };
    }
    case "SQLiteInteger":
      return {
        encode: withoutSign,
        decode: (cell) => (Number.isSafeInteger(cell) ? cell : undefined),
      };
    case "SQLiteReal":
      return {
        encode: withoutSign,
        decode: (cell) => (Number.isFinite(cell) ? cell : undefined),
      };
    case "SQLiteTimestamp":
      return { encode: (value) => (value as Date).getTime(), decode: decodeTime };
    case "SQLiteCustomColumn":
      return {
        encode: (value) => column.mapToDriverValue(value) as string,
        decode: decodersByName.get(column.name) ?? decodeJson,
      };
    default:
      throw new TypeError(`no codec for ${column.columnType}`);
  }
}

/** SQLite has no -0. */
function withoutSign(value: unknown): number {
  return (value as number) + 0;
}

function decodeTime(cell: unknown): Date | undefined {
  // A fraction of a millisecond, which only SQL can have written, would be lost.
  if (!Number.isInteger(cell)) return undefined;
  const time = new Date(cell as number);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

function decodeJson(cell: unknown): unknown {
  return typeof cell === "string" ? parseJson(cell) : undefined;
}

/** JSON that is ours to understand. */
const decodersByName = new Map<string, CellCodec["decode"]>([
  ["tags", decodeIf(isTags)],
  ["input_from", decodeIf(isInputFrom)],
]);

function decodeIf(isValid: (value: unknown) => boolean): CellCodec["decode"] {
  return (cell) => {
    const value = decodeJson(cell);
    return isValid(value) ? value : undefined;
  };
}
