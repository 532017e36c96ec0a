import { and, inArray, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { stepSummaryProperties, type RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import type { Connection, Queries, StatementResult } from "../connections/connection.ts";
import { childTables, keyOf, listOf, rowValue, type ChildPart } from "./fragments.ts";
import { childBytes, pick, rowsInPlace, selectPage } from "./pages.ts";
import { cellAt, positionCell } from "./run-filters.ts";
import {
  defineStatement,
  statementFamily,
  type Argument,
  type ArgumentReference,
  type BoundStatement,
  type Database,
} from "./statement.ts";

/** The rows of a child table that are read. */
export interface ChildQuery {
  readonly runIds: readonly string[];
  /** Only the rows of these steps: a JSON list of ids. */
  readonly stepIds?: string;
}

/** Reads one child table in pages that a server can return. */
export interface ChildReader {
  /** The indexes of the key among the cells. */
  readonly keyIndexes: readonly number[];
  /** The rows after the one with this key. */
  page(query: ChildQuery, after?: readonly Argument[]): BoundStatement;
}

/** A page has fewer rows, because each counts as `bundleRowBytes`. */
const maxRowsPerPage = 2049;

type PageArgument = "runIds" | "stepIds" | `after${number}` | "limit";

export function createChildReaders(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  return {
    steps: createReader("steps", codecs.steps.properties),
    stepSummaries: createReader("steps", stepSummaryProperties),
    attempts: createReader("attempts", codecs.attempts.properties),
    outputs: createReader("outputs", codecs.outputs.properties),
    state: createReader("state", codecs.state.properties),
  };

  function createReader(part: ChildPart, properties: readonly string[]): ChildReader {
    const table: SQLiteTable = childTables(tables)[part];
    const { runId, others } = keyOf(tables, codecs, part);
    const key = [runId, ...others];
    const pages = statementFamily(
      (shape: { readonly continued: boolean; readonly named: boolean }) => JSON.stringify(shape),
      ({ continued, named }) =>
        defineStatement(db, (target, argument: ArgumentReference<PageArgument>) => {
          const [stepId] = others;
          return selectPage(target, table, {
            properties,
            key,
            order: key,
            bytes: childBytes(Object.values(pick(table, properties))),
            where: and(
              inArray(runId, listOf(argument("runIds"))),
              named && stepId !== undefined
                ? inArray(stepId, listOf(argument("stepIds")))
                : undefined,
              continued
                ? sql`${rowValue(key)} > ${rowValue(key.map((_, index) => cellAt(argument(`after${index}`))))}`
                : undefined,
            ),
            limit: argument("limit"),
          });
        }),
    );
    return {
      keyIndexes: codecs[part].key.map((name) => properties.indexOf(name)),
      page: ({ runIds, stepIds }, after) =>
        pages({ continued: after !== undefined, named: stepIds !== undefined }).bind({
          runIds: JSON.stringify(runIds),
          ...(stepIds !== undefined && { stepIds }),
          ...Object.fromEntries(after?.map((cell, index) => [`after${index}`, cell]) ?? []),
          limit: maxRowsPerPage,
        }),
    };
  }
}

type Rows = readonly (readonly unknown[])[];

/** The rows of a first page, in order; null if there are more. */
export function wholePage(result: StatementResult | undefined): Rows | null {
  const { rows, found } = rowsInPlace(result?.rows ?? []);
  return rows.length === found && found < maxRowsPerPage ? rows : null;
}

/** Returns all rows, which are read a page at a time. */
export function* readEveryPage(children: ChildReader, query: ChildQuery): Queries<Rows> {
  const all: (readonly unknown[])[] = [];
  for (let after: readonly Argument[] | undefined; ;) {
    const [result] = yield [children.page(query, after)];
    const { rows } = rowsInPlace(result?.rows ?? []);
    for (const row of rows) all.push(row);
    const last = rows.at(-1);
    if (last === undefined || wholePage(result) !== null) return all;
    after = children.keyIndexes.map((place) => positionCell(last[place]));
  }
}

/** All rows of one run, of one snapshot: in one round trip if they fit into a page. */
export async function readChildren(
  connection: Connection,
  children: ChildReader,
  runId: string,
): Promise<Rows> {
  const query = { runIds: [runId] };
  const [result] = await connection.read([children.page(query)]);
  return wholePage(result) ?? (await connection.snapshot(() => readEveryPage(children, query)));
}
