import { and, inArray, sql } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { pageBytes } from "../../model/run-queries.ts";
import type { RowCodecs } from "../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../schema/tables.ts";
import type { Cell } from "../../schema/row-codec.ts";
import type { Connection } from "./connection.ts";
import { jsonBytes, limitTo, listOf, pick } from "./fragments.ts";
import {
  defineStatement,
  statementFamily,
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
  page(runIds: readonly string[], after: readonly Cell[] | null): BoundStatement;
}

const maxRowsPerPage = 2000;

type PageArgument = "runIds" | `after${number}` | "limit";

export function createChildReaders(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const {
    stepExecutions: steps,
    stepAttempts: attempts,
    stepOutputs: outputs,
    workflowState: state,
  } = tables;
  return {
    steps: createReader(
      steps,
      codecs.step.properties,
      ["runId", "stepId"],
      [steps.input, steps.error],
    ),
    attempts: createReader(
      attempts,
      codecs.attempt.properties,
      ["runId", "stepId", "attempt"],
      [attempts.error],
    ),
    outputs: createReader(outputs, codecs.output.properties, ["runId", "stepId"], [outputs.output]),
    state: createReader(state, codecs.state.properties, ["runId", "key"], [state.value]),
  };

  function createReader<
    Table extends SQLiteTable,
    Property extends keyof Table["_"]["columns"] & string,
  >(
    table: Table,
    properties: readonly Property[],
    keyProperties: readonly ["runId" & Property, ...Property[]],
    json: readonly SQLiteColumn[],
  ): ChildReader {
    const key: SQLiteColumn[] = Object.values(pick(table, keyProperties));
    const [runId] = key;
    if (runId === undefined) throw new TypeError("a child table has a key");
    const pages = statementFamily(String, (continued: boolean) =>
      defineStatement(db, (target, argument: ArgumentReference<PageArgument>) => {
        const total = sql`sum(${jsonBytes(json)}) over (order by ${sql.join(key, sql`, `)} rows unbounded preceding)`;
        return target
          .select({
            ...pick(table, properties),
            within: sql<number>`${total} <= ${sql.raw(String(pageBytes))}`,
          })
          .from(table)
          .where(
            and(
              inArray(runId, listOf(argument("runIds"))),
              continued
                ? sql`(${sql.join(key, sql`, `)}) > (${sql.join(
                    key.map((_, index) => argument(`after${index}`)),
                    sql`, `,
                  )})`
                : undefined,
            ),
          )
          .orderBy(...key)
          .limit(limitTo(argument("limit")));
      }),
    );
    return {
      properties,
      keyIndexes: keyProperties.map((name) => properties.indexOf(name)),
      page: (runIds, after) =>
        pages(after !== null).bind({
          runIds: JSON.stringify(runIds),
          ...Object.fromEntries(after?.map((cell, index) => [`after${index}`, cell]) ?? []),
          limit: maxRowsPerPage,
        }),
    };
  }
}

/** All rows that the readers find for the runs: one round trip where they fit one page. */
export async function readChildren(
  connection: Connection,
  readers: readonly ChildReader[],
  runIds: readonly string[],
): Promise<(readonly unknown[])[][]> {
  const found: (readonly unknown[])[][] = readers.map(() => []);
  let open = readers.map((reader, index) => ({
    reader,
    index,
    after: null as readonly Cell[] | null,
  }));
  while (open.length > 0) {
    // Each page continues the one before.
    const results = await connection.read(
      open.map(({ reader, after }) => reader.page(runIds, after)),
    );
    open = open.flatMap(({ reader, index }, position) => {
      const rows = results[position]?.rows ?? [];
      const fitting = rows.filter((row, place) => place === 0 || row.at(-1) === 1);
      found[index]?.push(...fitting);
      const last = fitting.at(-1);
      const complete =
        last === undefined || (fitting.length === rows.length && rows.length < maxRowsPerPage);
      if (complete) return [];
      return [{ reader, index, after: reader.keyIndexes.map((place) => last[place] as Cell) }];
    });
  }
  return found;
}
