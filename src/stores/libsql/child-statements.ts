import { and, inArray, sql } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { pageBytes } from "../../model/run-queries.ts";
import type { RowCodecs } from "../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../schema/tables.ts";
import { textOf, type Connection } from "./connection.ts";
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
  /** Where `runId` and the rest of the primary key stand among the cells. */
  readonly keyIndexes: readonly [number, number];
  page(runIds: readonly string[], after: readonly [string, string] | null): BoundStatement;
}

const maxRowsPerPage = 2000;

type PageArgument = "runIds" | "afterRunId" | "afterKey" | "limit";

export function createChildReaders(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const { stepExecutions: steps, stepOutputs: outputs, workflowState: state } = tables;
  return {
    steps: createReader(
      steps,
      codecs.step.properties,
      [steps.runId, steps.stepId],
      [steps.input, steps.error],
      "stepId",
    ),
    outputs: createReader(
      outputs,
      codecs.output.properties,
      [outputs.runId, outputs.stepId],
      [outputs.output],
      "stepId",
    ),
    state: createReader(
      state,
      codecs.state.properties,
      [state.runId, state.key],
      [state.value],
      "key",
    ),
  };

  function createReader<
    Table extends SQLiteTable,
    Property extends keyof Table["_"]["columns"] & string,
  >(
    table: Table,
    properties: readonly Property[],
    [runId, key]: readonly [SQLiteColumn, SQLiteColumn],
    json: readonly SQLiteColumn[],
    keyProperty: string,
  ): ChildReader {
    const pages = statementFamily(String, (continued: boolean) =>
      defineStatement(db, (target, argument: ArgumentReference<PageArgument>) => {
        const total = sql`sum(${jsonBytes(json)}) over (order by ${runId}, ${key} rows unbounded preceding)`;
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
                ? sql`(${runId}, ${key}) > (${argument("afterRunId")}, ${argument("afterKey")})`
                : undefined,
            ),
          )
          .orderBy(runId, key)
          .limit(limitTo(argument("limit")));
      }),
    );
    return {
      properties,
      keyIndexes: [
        (properties as readonly string[]).indexOf("runId"),
        (properties as readonly string[]).indexOf(keyProperty),
      ],
      page: (runIds, after) =>
        pages(after !== null).bind({
          runIds: JSON.stringify(runIds),
          afterRunId: after?.[0] ?? null,
          afterKey: after?.[1] ?? null,
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
    after: null as [string, string] | null,
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
      const [runIdIndex, keyIndex] = reader.keyIndexes;
      return [
        {
          reader,
          index,
          after: [textOf(last[runIdIndex]), textOf(last[keyIndex])] as [string, string],
        },
      ];
    });
  }
  return found;
}
