import { and, eq, sql } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { inArray } from "drizzle-orm";
import { stepSummaryProperties, type RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import type { Connection, Reader, StatementResult } from "../connections/connection.ts";
import {
  childBytes,
  limitTo,
  listOf,
  pick,
  placesOf,
  rowsInPlace,
  withinPage,
} from "./fragments.ts";
import {
  defineStatement,
  statementFamily,
  type Argument,
  type ArgumentReference,
  type BoundStatement,
  type Database,
} from "./statement.ts";

/** Rows of one child table, of any number of runs, in pages that a server can answer. */
export interface ChildReader {
  readonly properties: readonly string[];
  /** Where the primary key, which begins with `runId`, stands among the cells. */
  readonly keyIndexes: readonly number[];
  /** The rows after the one with this key. */
  page(runIds: readonly string[], after?: readonly Argument[]): BoundStatement;
}

/** More rows than this are never within a page's bytes. */
const maxRowsPerPage = 2049;

type PageArgument = "runIds" | `after${number}` | "limit";

export function createChildReaders(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const {
    stepExecutions: steps,
    stepAttempts: attempts,
    stepOutputs: outputs,
    workflowState: state,
  } = tables;
  return {
    steps: createReader(steps, codecs.step.properties, ["runId", "stepId"]),
    stepSummaries: createReader(steps, stepSummaryProperties, ["runId", "stepId"]),
    attempts: createReader(attempts, codecs.attempt.properties, ["runId", "stepId", "attempt"]),
    outputs: createReader(outputs, codecs.output.properties, ["runId", "stepId"]),
    state: createReader(state, codecs.state.properties, ["runId", "key"]),
  };

  function createReader<
    Table extends SQLiteTable,
    Property extends keyof Table["_"]["columns"] & string,
  >(
    table: Table,
    properties: readonly Property[],
    keyProperties: readonly ["runId" & Property, ...Property[]],
  ): ChildReader {
    const key: SQLiteColumn[] = Object.values(pick(table, keyProperties));
    const [runId] = key;
    if (runId === undefined) throw new TypeError("a child table has a key");
    const position = (argument: ArgumentReference<PageArgument>) =>
      sql.join(
        key.map((_, index) => argument(`after${index}`)),
        sql`, `,
      );
    const pages = statementFamily(String, (continued: boolean) =>
      defineStatement(db, (target, argument: ArgumentReference<PageArgument>) => {
        const page = target
          .select({
            ...Object.fromEntries(key.map((column, index) => [`key${index}`, column])),
            bytes: childBytes(pick(table, properties)).as("bytes"),
          })
          .from(table)
          .where(
            and(
              inArray(runId, listOf(argument("runIds"))),
              continued ? sql`(${sql.join(key, sql`, `)}) > (${position(argument)})` : undefined,
            ),
          )
          .orderBy(...key)
          .limit(limitTo(argument("limit")))
          .as("page");
        const pageKey = key.map(
          (column) => sql`${sql.identifier("page")}.${sql.identifier(column.name)}`,
        );
        const placed = target
          .select({
            ...Object.fromEntries(
              key.map((column, index) => [`key${index}`, pageKey[index]?.as(column.name)]),
            ),
            ...placesOf(page.bytes, pageKey),
          })
          .from(page)
          .as("placed");
        const placedKey = key.map(
          (column) => sql`${sql.identifier("placed")}.${sql.identifier(column.name)}`,
        );
        return target
          .select({ ...pick(table, properties), place: placed.place, found: placed.found })
          .from(placed)
          .crossJoin(table)
          .where(
            and(...key.map((column, index) => eq(column, placedKey[index])), withinPage(placed)),
          );
      }),
    );
    return {
      properties,
      keyIndexes: keyProperties.map((name) => properties.indexOf(name)),
      page: (runIds, after) =>
        pages(after !== undefined).bind({
          runIds: JSON.stringify(runIds),
          ...Object.fromEntries(after?.map((cell, index) => [`after${index}`, cell]) ?? []),
          limit: maxRowsPerPage,
        }),
    };
  }
}

type Rows = readonly (readonly unknown[])[];

/** The rows of a child reader's first page, in order; null when there are more. */
export function wholePage(result: StatementResult | undefined): Rows | null {
  const { rows, found } = rowsInPlace(result?.rows ?? []);
  return rows.length === found && found < maxRowsPerPage ? rows : null;
}

/** All rows that a child reader finds for the runs, a page at a time. `reader` has to be of one snapshot. */
export async function readEveryPage(
  reader: Reader,
  children: ChildReader,
  runIds: readonly string[],
): Promise<Rows> {
  const all: (readonly unknown[])[] = [];
  for (let after: readonly Argument[] | undefined; ;) {
    // Each page continues the one before.
    const [result] = await reader.read([children.page(runIds, after)]);
    const { rows } = rowsInPlace(result?.rows ?? []);
    for (const row of rows) all.push(row);
    const last = rows.at(-1);
    if (last === undefined || wholePage(result) !== null) return all;
    after = children.keyIndexes.map((place) => last[place] as Argument);
  }
}

/** All rows that a child reader finds for one run, as they were at one moment: one round trip where they fit a page. */
export async function readChildren(
  connection: Connection,
  children: ChildReader,
  runId: string,
): Promise<Rows> {
  const [result] = await connection.read([children.page([runId])]);
  return (
    wholePage(result) ??
    (await connection.snapshot((reader) => readEveryPage(reader, children, [runId])))
  );
}
