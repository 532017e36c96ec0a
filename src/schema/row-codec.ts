import { getTableColumns, getTableName } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { CorruptRowError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { isId, isInputFrom, isTags } from "./zod.ts";

/** A value of SQL. */
export type Cell = string | number | null;

/** A column's value as the database stores it: JSON as text, times as milliseconds. */
type Encoded<Value> = unknown extends Value
  ? string | null
  : Value extends Date
    ? number
    : Value extends undefined
      ? never
      : Value extends Cell
        ? Value
        : string;

/** A row as the database stores it, by property name. */
export type EncodedRow<Row> = { [Property in keyof Row]: Encoded<Row[Property]> };

interface CellCodec {
  readonly encode: (value: unknown) => Cell;
  /** Undefined if the cell is no valid value. */
  readonly decode: (cell: unknown) => unknown;
}

/** The decoders of some columns, and a row that has all of them. */
interface Decoder {
  readonly decodes: readonly CellCodec["decode"][];
  readonly emptyRow: Readonly<Record<string, unknown>>;
}

/** A row to copy. A copy takes less time than adding the properties one by one. */
function rowOfNulls(names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, null]));
}

/** Converts rows of one table, by the table's columns. All stores use it, so they store and return the same values. */
export interface RowCodec<Row> {
  readonly table: string;
  readonly properties: readonly (keyof Row & string)[];
  /** The properties of the primary key. */
  readonly key: readonly (keyof Row & string)[];
  /** The row with the defaults of the table. Required times default to `now`. */
  complete(given: { readonly [Property in keyof Row]?: Row[Property] | undefined }, now: Date): Row;
  /** @throws {InvalidValueError} if a value cannot be stored as JSON. */
  encode<Part extends Partial<Row>>(row: Part): EncodedRow<Part>;
  /**
   * Decodes the row, or these properties of it.
   *
   * @throws {CorruptRowError} if a cell is invalid.
   */
  decode<Property extends keyof Row & string>(
    row: EncodedRow<Pick<Row, Property>>,
    properties?: readonly Property[],
  ): Pick<Row, Property>;
  /**
   * Decodes the cells of these properties, which are in the same order.
   *
   * @throws {CorruptRowError} if a cell is invalid.
   */
  decodeCells<Property extends keyof Row & string>(
    properties: readonly Property[],
    cells: ArrayLike<unknown>,
  ): Pick<Row, Property>;
}

/** The codec of a table, without the `derived` columns that are no part of a row. */
export function createRowCodec<
  // In 1.0 the class of all tables does not have this property.
  Table extends SQLiteTable & { readonly $inferSelect: Record<string, unknown> },
  Derived extends keyof Table["$inferSelect"] & string = never,
>(
  table: Table,
  key: readonly Exclude<keyof Table["$inferSelect"] & string, Derived>[],
  derived: readonly Derived[] = [],
): RowCodec<Omit<Table["$inferSelect"], Derived>> {
  type Row = Omit<Table["$inferSelect"], Derived>;
  type Property = keyof Row & string;
  const columns: Record<string, SQLiteColumn> = getTableColumns(table);
  const properties = Object.keys(columns).filter(
    (name): name is Property => !(derived as readonly string[]).includes(name),
  );
  const codecs = new Map<string, CellCodec>(
    properties.map((name) => {
      const codec = cellCodec(columnOf(name));
      // SQL of an app can write an id that no operation takes.
      const isIdOfRow = key.includes(name) && columnOf(name).columnType === "SQLiteText";
      return [name, isIdOfRow ? { ...codec, decode: decodeId } : codec];
    }),
  );
  const constants = properties.map((name) => [name, columnOf(name).default ?? null]);
  const rowOfDefaults: Readonly<Record<string, unknown>> = Object.fromEntries(constants);
  const generators = properties.flatMap((name) => {
    const generate = generatorOf(columnOf(name));
    return generate === null ? [] : [[name, generate] as const];
  });
  const tableName = getTableName(table);
  /** By list of properties. The lists are constants, and a lookup per cell would be a third of the cost of a row. */
  const decoders = new WeakMap<readonly string[], Decoder>();

  function columnOf(name: string): SQLiteColumn {
    const column = columns[name];
    if (column === undefined) throw new TypeError(`${tableName} has no column for ${name}`);
    return column;
  }

  function decodeCells<Name extends Property>(
    names: readonly Name[],
    cells: ArrayLike<unknown>,
  ): Pick<Row, Name> {
    let decoder = decoders.get(names);
    if (decoder === undefined) {
      const decodes = names.map((name) => (codecs.get(name) ?? cellCodec(columnOf(name))).decode);
      decoder = { decodes, emptyRow: rowOfNulls(names) };
      decoders.set(names, decoder);
    }
    const { decodes } = decoder;
    const row = { ...decoder.emptyRow };
    for (let index = 0; index < names.length; index++) {
      const name = names[index] as Name;
      const value = decodes[index]?.(cells[index]);
      if (value === undefined) throw corrupt(name, (part) => cells[names.indexOf(part as Name)]);
      row[name] = value;
    }
    return row as Row;
  }

  function corrupt(name: Property, cellOf: (part: Property) => unknown): CorruptRowError {
    const cells = key.map((part) => [columnOf(part).name, String(cellOf(part))]);
    return new CorruptRowError({
      table: tableName,
      key: Object.fromEntries(cells),
      column: columnOf(name).name,
    });
  }

  return {
    table: tableName,
    properties,
    key,
    complete(given, now) {
      const row = { ...rowOfDefaults };
      const present: Readonly<Record<string, unknown>> = given;
      for (const name in present) if (present[name] !== undefined) row[name] = present[name];
      for (const [name, generate] of generators) row[name] ??= generate(now);
      return row as Row;
    },
    encode(row) {
      const encoded: Record<string, Cell> = {};
      for (const name in row) {
        const codec = codecs.get(name);
        if (codec !== undefined) encoded[name] = codec.encode(row[name]);
      }
      return encoded as EncodedRow<typeof row>;
    },
    decode<Name extends Property>(
      row: EncodedRow<Pick<Row, Name>>,
      names = properties as readonly Name[],
    ) {
      return decodeCells(
        names,
        names.map((name) => row[name]),
      );
    },
    decodeCells,
  };
}

/** Makes the default of a column; null if it is a constant. */
function generatorOf({ columnType, notNull, defaultFn }: SQLiteColumn) {
  if (columnType === "SQLiteTimestamp" && notNull) return (now: Date) => now;
  // Not the function itself: a generator of ids may have optional arguments.
  return defaultFn === undefined ? null : () => defaultFn();
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

function decodeId(cell: unknown): string | undefined {
  return isId(cell) ? cell : undefined;
}

function decodeJson(cell: unknown): unknown {
  return typeof cell === "string" ? parseJson(cell) : undefined;
}

/** JSON whose shape this package defines. */
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
