import type Database from "libsql";
import type { Parameters } from "./bound-values.ts";
import { mayMakeText, packText, type PackedQuery } from "./packed-text.ts";
import { parametersOf } from "./sql-tokens.ts";
import { bindsConnection, keywordOf } from "./statement-kinds.ts";

/** A prepared statement and what is known of it. */
export interface PreparedStatement {
  readonly native: Database.Statement;
  /** Gives the row that was asked for, if its text is packed. */
  readonly unpack: PackedQuery["unpack"] | null;
  /** False for a statement that reports a change instead. */
  readonly givesRows: boolean;
  readonly parameters: Parameters;
  /** The binding does not reset an explanation when its rows are read: it would pin its snapshot. */
  readonly explains: boolean;
  readonly changesSchema: boolean;
  readonly isPragma: boolean;
  /** True for a write that may store text which is not UTF-8. */
  readonly makesText: boolean;
  readonly bindsConnection: boolean;
  columns: Columns | null;
  /** The schema that `columns` are known to be of. */
  schema: SchemaVersion | null;
}

export interface Columns {
  readonly names: readonly string[];
  readonly types: readonly string[];
}

/** The schema of a connection. As long as it is the same object, no table has changed. */
export interface SchemaVersion {
  readonly version: number;
}

/** All rows that a statement gives; afterwards it is reset, whatever it is. */
export function rowsOf({ native, explains }: PreparedStatement, parameters: unknown): unknown[] {
  const rows = native.all(parameters);
  // Reading one row resets the statement, and explaining it once more changes nothing.
  if (explains) native.get(parameters);
  return rows;
}

/** A server-size schema with its variants fits; a program that pastes values into its SQL does not grow it. */
const maxStatements = 500;

/**
 * The prepared statements of one connection for one kind of use; the least recently used is given up first.
 *
 * A native statement keeps its integer mode, its values, and whether it was reset: reading one row resets it
 * afterwards, reading a list does so before. Two kinds of use must therefore never share one.
 */
export class StatementCache {
  readonly #statements = new Map<string, PreparedStatement>();
  readonly #prepare: (sql: string) => Database.Statement;
  readonly #packs: boolean;

  constructor(
    prepare: (sql: string) => Database.Statement,
    { packs = false }: { readonly packs?: boolean } = {},
  ) {
    this.#prepare = prepare;
    this.#packs = packs;
  }

  get(sql: string): PreparedStatement {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      this.#statements.delete(sql);
      this.#statements.set(sql, known);
      return known;
    }
    const keyword = keywordOf(sql);
    const packed =
      this.#packs && (keyword === "select" || keyword === "with")
        ? packText(this.#prepare, sql)
        : null;
    const native = packed?.native ?? this.#prepare(sql);
    const statement: PreparedStatement = {
      native,
      unpack: packed?.unpack ?? null,
      givesRows: native.reader,
      parameters: parametersOf(sql),
      explains: keyword === "explain",
      changesSchema: !/^(?:with|insert|update|delete|replace)$/.test(keyword),
      isPragma: keyword === "pragma",
      makesText: keyword !== "select" && mayMakeText(sql),
      bindsConnection: bindsConnection(sql),
      columns: null,
      schema: null,
    };
    if (statement.givesRows) native.raw(true);
    this.#statements.set(sql, statement);
    const [oldest] = this.#statements.keys();
    if (this.#statements.size > maxStatements && oldest !== undefined) {
      this.#statements.delete(oldest);
    }
    return statement;
  }

  forget(sql: string): void {
    this.#statements.delete(sql);
  }
}
