import { and, asc, desc, eq, getTableColumns, sql, type Placeholder, type SQL } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { bundleRowBytes, pageBytes } from "../../../model/run-queries.ts";
import type { Database } from "./statement.ts";

/** The columns of `properties`. Rows are arrays in this order. */
export function pick<
  Table extends SQLiteTable,
  Property extends keyof Table["_"]["columns"] & string,
>(table: Table, properties: readonly Property[]): Pick<Table["_"]["columns"], Property> {
  const columns = getTableColumns(table);
  return Object.fromEntries(properties.map((name) => [name, columns[name]])) as Pick<
    Table["_"]["columns"],
    Property
  >;
}

/**
 * A parameter whose value does not affect the plan of its statement. Recent versions of SQLite use the values of some
 * parameters for the plan, those of LIMIT and in subqueries, and so prepare the statement again at each execution. On
 * better-sqlite3, a claim then takes seven times as long.
 */
export function opaque(argument: SQL): SQL {
  return sql`+${argument}`;
}

/** Drizzle's `limit` takes any SQL, but its type allows only numbers and placeholders. */
export function limitTo(argument: SQL): Placeholder {
  // SQLite looks through a unary plus here.
  return sql`${argument} + 0` as unknown as Placeholder;
}

/** The bytes of JSON in these columns. Columns of other types are left out. */
export function jsonBytes(columns: readonly SQLiteColumn[]): SQL<number> {
  const sizes = columns
    .filter(({ columnType }) => columnType === "SQLiteCustomColumn")
    .map((column) => sql`coalesce(octet_length(${column}), 0)`);
  return sql<number>`${sql.join(sizes, sql` + `)}`;
}

/** The bytes that a row of a child table counts in a page: `bundleRowBytes` and the JSON in these columns. */
export function childBytes(columns: readonly SQLiteColumn[]): SQL<number> {
  return sql<number>`${sql.raw(String(bundleRowBytes))} + ${jsonBytes(columns)}`;
}

interface PageQuery<Property extends string> {
  /** The cells of a row, before its place and the number of rows that were found. */
  readonly properties: readonly Property[];
  readonly key: readonly SQLiteColumn[];
  readonly order: readonly SQLiteColumn[];
  readonly direction?: typeof asc | typeof desc;
  /** The order in the query, if it must not use an index. */
  readonly orderBy?: readonly SQL[];
  readonly bytes: SQL<number>;
  readonly where: SQL | undefined;
  readonly limit: SQL;
}

/**
 * A page of the table: the rows within `limit` that together have at most `pageBytes`, at least one. So the query itself
 * limits the response. `rowsInPlace` sorts the rows.
 */
export function selectPage<
  Table extends SQLiteTable,
  Property extends keyof Table["_"]["columns"] & string,
>(target: Database, table: Table, query: PageQuery<Property>) {
  const { key, order, bytes, direction = asc } = query;
  const page = target
    .select({
      ...Object.fromEntries([...key, ...order].map((column) => [column.name, column])),
      bytes: bytes.as("bytes"),
    })
    .from(table)
    .where(query.where)
    .orderBy(...(query.orderBy ?? order.map((column) => direction(column))))
    .limit(limitTo(query.limit))
    .as("page");
  const ordered = sql.join(
    order.map((column) => direction(columnOf("page", column))),
    sql`, `,
  );
  const placed = target
    .select({
      ...Object.fromEntries(
        key.map((column) => [column.name, columnOf("page", column).as(column.name)]),
      ),
      place: sql<number>`row_number() over (order by ${ordered})`.as("place"),
      found: sql<number>`count(*) over ()`.as("found"),
      total: sql<number>`sum(${page.bytes}) over (order by ${ordered} rows unbounded preceding)`.as(
        "total",
      ),
    })
    .from(page)
    .as("placed");
  return target
    .select({ ...pick(table, query.properties), place: placed.place, found: placed.found })
    .from(placed)
    .crossJoin(table)
    .where(
      and(
        ...key.map((column) => eq(column, columnOf("placed", column))),
        sql`(${placed.total} <= ${sql.raw(String(pageBytes))} or ${placed.place} = 1)`,
      ),
    );
}

function columnOf(subquery: string, column: SQLiteColumn): SQL {
  return sql`${sql.identifier(subquery)}.${sql.identifier(column.name)}`;
}

/** The rows of a page, in order. `found` is the number of rows without the limit of bytes. */
export function rowsInPlace(rows: readonly (readonly unknown[])[]): {
  readonly rows: readonly (readonly unknown[])[];
  readonly found: number;
} {
  return {
    rows: rows.toSorted((a, b) => Number(a.at(-2)) - Number(b.at(-2))),
    found: Number(rows[0]?.at(-1) ?? 0),
  };
}
