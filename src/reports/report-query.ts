import {
  getTableColumns,
  getTableName,
  sql,
  Subquery,
  type SQL,
  type SQLWrapper,
} from "drizzle-orm";
import { QueryBuilder, type SQLiteColumn, type SQLiteTable } from "drizzle-orm/sqlite-core";
import type { AnyDatabase, Select } from "../drizzle-types.ts";
import type { WorkflowTables } from "../schema/tables.ts";

/** Any Drizzle database on SQLite, or a transaction of one. */
export type ReportDatabase<Mode extends "sync" | "async", RunResult> = AnyDatabase<Mode, RunResult>;

/**
 * A typed Drizzle query: `await` it, or go on with `where`, `orderBy`, `limit`, `offset`, and with `as(name)` to
 * join it. Its rows are those of `Row`, a table that exists nowhere but in the query.
 */
export type ReportQuery<Row extends SQLiteTable, Mode extends "sync" | "async", RunResult> = Select<
  Row["_"]["name"],
  Mode,
  RunResult,
  Row["_"]["columns"]
>;

export type Expression = SQL | SQL.Aliased | SQLiteColumn;

/** Makes what reports select from: queries that belong to no database yet. */
export const builder = new QueryBuilder();

/** The nearest number that JavaScript has: one row with an extreme value must not cost the others their report. */
const bounded = (value: SQL): SQL =>
  sql`max(min(${value}, ${sql.raw(String(Number.MAX_SAFE_INTEGER))}), ${sql.raw(String(Number.MIN_SAFE_INTEGER))})`;

/** An expression for each column of the row, under the name that the column has in SQL. */
export function rowOf<Row extends SQLiteTable>(
  row: Row,
  values: { readonly [Name in keyof Row["_"]["columns"]]: Expression },
): { [Name in keyof Row["_"]["columns"]]: SQL.Aliased } {
  const columns: Record<string, SQLiteColumn> = getTableColumns(row);
  const expressions: Record<string, Expression> = values;
  return Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [
      name,
      (column.columnType === "SQLiteInteger"
        ? bounded(sql`${expressions[name]}`)
        : sql`${expressions[name]}`
      ).as(column.name),
    ]),
  ) as { [Name in keyof Row["_"]["columns"]]: SQL.Aliased };
}

/**
 * Selects the rows of `query`, in this order until the app says another.
 *
 * The query is a subquery whose columns are those of `row`. So a condition of the app's replaces none of ours,
 * values are encoded and decoded by columns, and names stay unambiguous in a join; Drizzle's own subqueries do
 * not qualify the names of expressions.
 */
export function selectReport<Row extends SQLiteTable, Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  tables: WorkflowTables,
  row: Row,
  query: SQLWrapper,
  ...order: (SQL | SQLiteColumn)[]
): ReportQuery<Row, Mode, RunResult> {
  const columns = getTableColumns(row);
  // Drizzle's cache forgets an answer when one of these tables is written to.
  const read = Object.values(tables).map((table) => getTableName(table));
  const source = Object.assign(
    new Subquery(query.getSQL(), columns, getTableName(row), false, read),
    columns,
  );
  const report = db
    .select()
    .from(source)
    .orderBy(...order)
    .$dynamic();
  // Drizzle's types lose the selection where the mode of the database is a type parameter.
  return report as unknown as ReportQuery<Row, Mode, RunResult>;
}
