import {
  getTableColumns,
  getTableName,
  sql,
  Subquery,
  type SQL,
  type SQLWrapper,
} from "drizzle-orm";
import { QueryBuilder, type SQLiteColumn, type SQLiteTable } from "drizzle-orm/sqlite-core";
import type { AnyDatabase, Select } from "../../drizzle-types.ts";
import type { WorkflowTables } from "../../schema/tables.ts";

/** Any Drizzle database on SQLite, or a transaction of one. */
export type ReportDatabase<Mode extends "sync" | "async", RunResult> = AnyDatabase<Mode, RunResult>;

/**
 * A typed Drizzle query. `await` it, extend it with `where`, `orderBy`, `limit` and `offset`, or join it with `as(name)`.
 * `Row` has its columns.
 */
export type ReportQuery<Row extends SQLiteTable, Mode extends "sync" | "async", RunResult> = Select<
  Row["_"]["name"],
  Mode,
  RunResult,
  Row["_"]["columns"]
>;

export type Expression = SQL | SQL.Aliased | SQLiteColumn;

/** Builds the subqueries of reports, without a database. */
export const builder = new QueryBuilder();

/** Decodes to the nearest number, so that one extreme value does not make the whole report fail. */
const bounded = (value: SQL): SQL =>
  sql`max(min(${value}, ${sql.raw(String(Number.MAX_SAFE_INTEGER))}), ${sql.raw(String(Number.MIN_SAFE_INTEGER))})`;

/** An expression for each column of the row, by its SQL name. */
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

/** The columns of the row. They also decode integers that the app's driver reads as `bigint`. */
function numberColumns<Row extends SQLiteTable>(row: Row): Row["_"]["columns"] {
  const columns: Record<string, SQLiteColumn> = getTableColumns(row);
  return Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [
      name,
      Object.create(column, {
        mapFromDriverValue: {
          value: (value: unknown) =>
            column.mapFromDriverValue(typeof value === "bigint" ? Number(value) : value),
        },
      }) as SQLiteColumn,
    ]),
  ) as Row["_"]["columns"];
}

/**
 * Selects the rows of `query` in the given default order.
 *
 * The query is a subquery with the columns of `row`. A condition of the app therefore does not replace ours, columns
 * encode and decode values, and names are unambiguous in a join. Drizzle's own subqueries do not qualify the names of
 * expressions.
 */
export function selectReport<Row extends SQLiteTable, Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  tables: WorkflowTables,
  row: Row,
  query: SQLWrapper,
  ...order: (SQL | SQLiteColumn)[]
): ReportQuery<Row, Mode, RunResult> {
  const columns = numberColumns(row);
  // A write to one of these tables invalidates a cached result.
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
  // Drizzle's types lose the selection if the mode of the database is a type parameter.
  return report as unknown as ReportQuery<Row, Mode, RunResult>;
}
