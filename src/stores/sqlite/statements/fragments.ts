import { and, eq, exists, getTableColumns, sql, type SQL, type SQLWrapper } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import type { Fence } from "../../../model/transitions.ts";
import type { Cell } from "../../../schema/row-codec.ts";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { jsonBytes, pick } from "./pages.ts";
import type { ArgumentReference, Builder, Database } from "./statement.ts";

/** The child tables, named like the parts of a bundle. */
export function childTables(tables: WorkflowTables) {
  return {
    steps: tables.stepExecutions,
    attempts: tables.stepAttempts,
    outputs: tables.stepOutputs,
    state: tables.workflowState,
  } satisfies Record<ChildPart, SQLiteTable>;
}

export type ChildPart = Exclude<keyof RowCodecs, "run" | "pauses">;
export const childParts = ["steps", "attempts", "outputs", "state"] as const;

/** The columns of a child table's key: `runId` and the columns that distinguish the rows of a run. */
export function keyOf(
  tables: WorkflowTables,
  codecs: RowCodecs,
  part: ChildPart,
): { readonly runId: SQLiteColumn; readonly others: readonly SQLiteColumn[] } {
  const key: readonly string[] = codecs[part].key;
  const [runId, ...others] = Object.values(pick(childTables(tables)[part] as SQLiteTable, key));
  if (runId === undefined) throw new TypeError("a child table has a key");
  return { runId, others };
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

/** The assignments of an upsert: the inserted row's values of `properties`, except those of the key. */
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

/** The bytes of `error` and `tags` up to which they are returned with the row of a run. Larger ones are read separately. */
export const inlineDetailBytes = 1024;

/**
 * The details of a run if they are small, and their size. So the number of rows limits the response of a page or a claim.
 * A server rejects a response that is too large, and the runs of such a claim would stay claimed.
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

/** The strings of a JSON array, as a subquery. A list of any length is one bound value. */
export function listOf(argument: SQL): SQL {
  return sql`(select value from json_each(${argument}))`;
}

/** The arguments of a fence. Both are null without a fence; `whereAttempt` is null for any claim of the worker. */
export type FenceArgument = "whereWorkerId" | "whereAttempt";

export function fenceArguments(fence: Fence | null): Record<FenceArgument, Cell> {
  return { whereWorkerId: fence?.workerId ?? null, whereAttempt: fence?.attempt ?? null };
}

/** The rule of `checkFence`, for the run of this row. */
export function isHeld(
  { workflowRuns: runs }: WorkflowTables,
  argument: ArgumentReference<FenceArgument>,
): SQL {
  return sql`(${argument("whereWorkerId")} is null or (${and(
    eq(runs.status, sql`'RUNNING'`),
    eq(runs.workerId, argument("whereWorkerId")),
    sql`${runs.attempt} = coalesce(${argument("whereAttempt")}, ${runs.attempt})`,
  )}))`;
}

/** True if the run exists and the fence holds. */
export function runExists(
  db: Database,
  tables: WorkflowTables,
  runId: SQL,
  fence: ArgumentReference<FenceArgument> | null,
): SQL {
  const { workflowRuns: runs } = tables;
  const isFree = fence === null ? undefined : isHeld(tables, fence);
  return exists(selectOne(db, runs, and(eq(runs.runId, runId), isFree)));
}

/** True if there is no fence, or the run exists and the fence holds. */
export function isAllowed(
  db: Database,
  tables: WorkflowTables,
  runId: SQL,
  fence: ArgumentReference<FenceArgument>,
): SQL {
  return sql`(${fence("whereWorkerId")} is null or ${runExists(db, tables, runId, fence)})`;
}

/** A query that returns a row for each row of the table that meets the condition. */
export function selectOne(
  db: Pick<Database, "select">,
  table: SQLiteTable,
  condition: SQL | undefined,
): Builder {
  return db
    .select({ one: sql`1` })
    .from(table)
    .where(condition);
}

/** Columns as one row value. */
export function rowValue(values: readonly SQLWrapper[]): SQL {
  return sql`(${sql.join([...values], sql`, `)})`;
}

/**
 * The source of an `insert … select`: one row if the condition holds. The insert then changes nothing where it would fail,
 * because a failure would undo its whole batch.
 */
export function rowIf(values: readonly SQL[], condition: SQL): SQL {
  return sql`select ${sql.join([...values], sql`, `)} where ${condition}`;
}
