import {
  and,
  eq,
  getTableColumns,
  sql,
  type Placeholder,
  type SQL,
  type SQLWrapper,
} from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { bundleRowBytes, pageBytes } from "../../../model/run-queries.ts";
import type { Fence } from "../../../model/transitions.ts";
import type { Cell } from "../../../schema/row-codec.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import type { ArgumentReference, Database } from "./statement.ts";

/** The columns of `properties`, in their order: rows come back as arrays in this order. */
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

/** An argument for each property, by its name. */
export function argumentsFor<Property extends string>(
  properties: readonly Property[],
  argument: ArgumentReference<Property>,
): Record<Property, SQL<never>> {
  return Object.fromEntries(properties.map((name) => [name, argument(name)])) as Record<
    Property,
    SQL<never>
  >;
}

/** What an upsert sets: the inserted row's columns of `properties`, except those of its key. */
export function replacement<
  Table extends SQLiteTable,
  Property extends keyof Table["_"]["columns"] & string,
>(table: Table, properties: readonly Property[], key: readonly NoInfer<Property>[]) {
  const columns: Record<string, SQLiteColumn> = getTableColumns(table);
  return Object.fromEntries(
    properties
      .filter((name) => !key.includes(name))
      .map((name) => [name, sql`excluded.${sql.identifier(columns[name]?.name ?? name)}`]),
  ) as Record<Property, SQL>;
}

/** Drizzle's `limit` is typed for numbers and placeholders; it takes any SQL. */
export function limitTo(argument: SQL): Placeholder {
  return argument as unknown as Placeholder;
}

/** The bytes of the JSON in these columns: what pages and reports count. */
export function jsonBytes(columns: readonly SQLiteColumn[]): SQL<number> {
  const sizes = columns.map((column) => sql`coalesce(octet_length(${column}), 0)`);
  return sql<number>`${sql.join(sizes, sql` + `)}`;
}

/** What one row of a child table adds to a page: `bundleRowBytes` and the JSON in these columns. */
export function childBytes(columns: Readonly<Record<string, SQLiteColumn>>): SQL<number> {
  const json = Object.values(columns).filter(
    ({ columnType }) => columnType === "SQLiteCustomColumn",
  );
  return sql<number>`${sql.raw(String(bundleRowBytes))} + ${jsonBytes(json)}`;
}

/** The place of each row of a page in its order, how many the page has, and their bytes up to there. */
export function placesOf(bytes: SQLWrapper, order: readonly SQLWrapper[]) {
  const ordered = sql`order by ${sql.join([...order], sql`, `)}`;
  return {
    place: sql<number>`row_number() over (${ordered})`.as("place"),
    found: sql<number>`count(*) over ()`.as("found"),
    total: sql<number>`sum(${bytes}) over (${ordered} rows unbounded preceding)`.as("total"),
  };
}

/**
 * The rows that are sent: as many of the page as stay within its bytes, and at least one. What a server answers is
 * bounded by the query itself; `rowsInPlace` puts them in order, and tells whether any is missing.
 */
export function withinPage({ place, total }: Record<"place" | "total", SQLWrapper>): SQL {
  return sql`(${total} <= ${sql.raw(String(pageBytes))} or ${place} = 1)`;
}

/** Rows that end with `place` and `found`, in order, and how many the page would have had without a bound of bytes. */
export function rowsInPlace(rows: readonly (readonly unknown[])[]): {
  readonly rows: readonly (readonly unknown[])[];
  readonly found: number;
} {
  return {
    rows: rows.toSorted((a, b) => Number(a.at(-2)) - Number(b.at(-2))),
    found: Number(rows[0]?.at(-1) ?? 0),
  };
}

/** `error` and `tags` of a run up to this size come with its row; larger ones are fetched by themselves. */
export const inlineDetailBytes = 1024;

/**
 * The details of a run where they are small, and their size in any case. What a page or a claim answers is then
 * bounded by its rows: a server refuses what is too large, and a claim would hold runs nobody knows of.
 */
export function inlineDetails({ workflowRuns: runs }: WorkflowTables) {
  const bytes = jsonBytes([runs.error, runs.tags]);
  const inline = (column: SQLiteColumn) =>
    sql`case when ${bytes} <= ${sql.raw(String(inlineDetailBytes))} then ${column} end`;
  return {
    error: inline(runs.error).as("error"),
    tags: inline(runs.tags).as("tags"),
    detailBytes: bytes.as("detail_bytes"),
  };
}

/** The strings of a JSON array, as a subquery: a list of any length in one bound value. */
export function listOf(argument: SQL): SQL {
  return sql`(select value from json_each(${argument}))`;
}

/** The arguments of a fence. `whereAttempt` is null for any claim of the worker. */
export type FenceArgument = "whereWorkerId" | "whereAttempt";

/** The values of a fence's arguments; nulls for a write that has none. */
export function fenceArguments(fence: Fence | null): Record<FenceArgument, Cell> {
  return { whereWorkerId: fence?.workerId ?? null, whereAttempt: fence?.attempt ?? null };
}

/** The rule of `checkFence`. */
export function isHeld(
  { workflowRuns: runs }: WorkflowTables,
  argument: ArgumentReference<FenceArgument>,
): SQL | undefined {
  return and(
    eq(runs.status, sql`'RUNNING'`),
    eq(runs.workerId, argument("whereWorkerId")),
    sql`${runs.attempt} = coalesce(${argument("whereAttempt")}, ${runs.attempt})`,
  );
}

/** True while the run exists and, if the write is fenced, is held by that claim. */
export function runExists(
  db: Database,
  tables: WorkflowTables,
  runId: SQL,
  fence: ArgumentReference<FenceArgument> | null,
): SQL {
  const { workflowRuns: runs } = tables;
  const run = db
    .select({ one: sql`1` })
    .from(runs)
    .where(and(eq(runs.runId, runId), fence === null ? undefined : isHeld(tables, fence)));
  return sql`exists ${run}`;
}

/**
 * The source of `insert … select …`: one row of arguments, if the condition holds.
 *
 * A condition keeps a write from failing on a foreseeable cause: a failure would undo its whole batch.
 */
export function rowIf(values: readonly SQL[], condition: SQL): SQL {
  return sql`select ${sql.join([...values], sql`, `)} where ${condition}`;
}
