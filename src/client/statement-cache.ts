import type Database from "libsql";
import { keywordOf } from "./statement-kinds.ts";

/** A prepared statement and what is known of it. */
export interface PreparedStatement {
  readonly native: Database.Statement;
  /** False for a statement that reports a change instead. */
  readonly givesRows: boolean;
  readsBigints: boolean;
  columns: Columns | null;
  readonly selectsAll: boolean;
  /** The binding does not reset an explanation when its rows are read: it would pin its snapshot. */
  readonly explains: boolean;
}

export interface Columns {
  readonly names: readonly string[];
  readonly types: readonly string[];
}

/** All rows that a statement gives; afterwards it is reset, whatever it is. */
export function rowsOf({ native, explains }: PreparedStatement, parameters: unknown): unknown[] {
  const rows = native.all(parameters);
  // Reading one row resets the statement, and explaining it once more changes nothing.
  if (explains) native.get(parameters);
  return rows;
}

/**
 * The columns of what a statement has just given. SQLite prepares a statement anew when the schema has
 * changed, and one that selects `*` may then have others, so it must be asked after its rows.
 */
export function columnsOf(statement: PreparedStatement): Columns {
  if (statement.columns !== null && !statement.selectsAll) return statement.columns;
  const columns = statement.native.columns();
  statement.columns = {
    names: columns.map(({ name }) => name),
    types: columns.map(({ type }) => type ?? ""),
  };
  return statement.columns;
}

/** A server-size schema with its variants fits; a program that pastes values into its SQL does not grow it. */
const maxStatements = 500;

/** The prepared statements of one connection; the least recently used is given up first. */
export class StatementCache {
  readonly #statements = new Map<string, PreparedStatement>();
  readonly #prepare: (sql: string) => Database.Statement;

  constructor(prepare: (sql: string) => Database.Statement) {
    this.#prepare = prepare;
  }

  get(sql: string): PreparedStatement {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      this.#statements.delete(sql);
      this.#statements.set(sql, known);
      return known;
    }
    const native = this.#prepare(sql);
    const statement: PreparedStatement = {
      native,
      givesRows: native.reader,
      readsBigints: false,
      columns: null,
      selectsAll: sql.includes("*"),
      explains: keywordOf(sql) === "explain",
    };
    if (statement.givesRows) native.raw(true);
    this.#statements.set(sql, statement);
    const [oldest] = this.#statements.keys();
    if (this.#statements.size > maxStatements && oldest !== undefined) {
      this.#statements.delete(oldest);
    }
    return statement;
  }

  clear(): void {
    this.#statements.clear();
  }
}
