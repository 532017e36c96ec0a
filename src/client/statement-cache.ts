import { LruMap } from "../lru-map.ts";
import type { Parameters } from "./bound-values.ts";
import type { NativeStatement } from "./native-statement.ts";
import { packQuery, type PackedQuery, type Packing } from "./packed-rows.ts";
import { parametersOf } from "../sql-tokens.ts";
import { keywordOf, mayBindConnection } from "./statement-kinds.ts";

/** A prepared statement and its properties. */
export interface PreparedStatement {
  readonly native: NativeStatement;
  /** Null if it returns no rows, or cannot be packed. */
  readonly packed: PackedQuery | null;
  /** False if it returns a number of changes instead. */
  readonly givesRows: boolean;
  readonly parameters: Parameters;
  /** True for EXPLAIN. The binding does not reset it after reading its rows, so it would keep its snapshot. */
  readonly explains: boolean;
  readonly changesSchema: boolean;
  readonly isPragma: boolean;
  readonly mayBindConnection: boolean;
  readonly columns: Columns;
  /** The schema to which `columns` belong. */
  schema: SchemaVersion | null;
}

export interface Columns {
  readonly names: readonly string[];
  readonly types: readonly string[];
  /** The table column of each; null for an expression. */
  readonly origins?: readonly ({ readonly table: string; readonly column: string } | null)[];
}

/** The schema of a connection. While it is the same object, no table has changed. */
export interface SchemaVersion {
  readonly version: number;
}

/** More than a large app has. The limit is for programs that write values into their SQL text. */
const maxStatements = 500;

/**
 * The prepared statements of one connection for one kind of use. The least recently used one is dropped first.
 *
 * A native statement keeps its integer mode and its values. The binding resets it after reading one row, but before
 * reading a list. Two kinds of use must therefore never share a statement.
 */
export class StatementCache {
  readonly #statements = new LruMap<string, PreparedStatement>(maxStatements);
  readonly #prepare: (sql: string) => NativeStatement;
  readonly #packing: Packing;
  #isUtf8: boolean | null = null;

  constructor(prepare: (sql: string) => NativeStatement, packing: Packing) {
    this.#prepare = prepare;
    this.#packing = packing;
  }

  get(sql: string): PreparedStatement {
    return this.#statements.getOrMake(sql, () => this.#make(sql));
  }

  forget(sql: string): void {
    this.#statements.delete(sql);
  }

  #make(sql: string): PreparedStatement {
    const keyword = keywordOf(sql);
    const native = this.#prepare(sql);
    const givesRows = native.isReader;
    const columns = givesRows ? native.columns() : [];
    const packed =
      givesRows && this.#hasUtf8Text()
        ? packQuery(this.#prepare, sql, columns, this.#packing)
        : null;
    if (givesRows) native.raw();
    return {
      native,
      packed,
      givesRows,
      parameters: parametersOf(sql),
      explains: keyword === "explain",
      changesSchema: !/^(?:with|insert|update|delete|replace)$/.test(keyword),
      isPragma: keyword === "pragma",
      mayBindConnection: mayBindConnection(sql),
      columns: {
        names: columns.map(({ name }) => name),
        types: columns.map(({ type }) => type ?? ""),
        origins: columns.map(({ table, column }) =>
          table === null || column === null ? null : { table, column },
        ),
      },
      schema: null,
    };
  }

  /** Packed rows are bytes in the encoding of the database. The binding converts the others to UTF-8. */
  #hasUtf8Text(): boolean {
    if (this.#isUtf8 !== null) return this.#isUtf8;
    const [encoding] = this.#prepare("pragma encoding").raw().get([]) as [string];
    const isUtf8 = encoding === "UTF-8";
    // Until a database has a table, its encoding may change.
    const table: unknown = this.#prepare("select 1 from sqlite_schema limit 1").get([]);
    if (table !== undefined) this.#isUtf8 = isUtf8;
    return isUtf8;
  }
}
