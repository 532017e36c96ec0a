import { CorruptRowError } from "../../../errors.ts";
import {
  everyRun,
  listCursors,
  orderOf,
  type ParsedRunFilter,
  type ParsedRunQuery,
} from "../../../model/run-queries.ts";
import { runSummaryProperties } from "../../../schema/row-codecs.ts";
import type { WorkflowRun, WorkflowRunSummary } from "../../../schema/rows.ts";
import type { RunPage } from "../../../store/runs.ts";
import { inlineDetailBytes } from "../statements/fragments.ts";
import { rowsInPlace } from "../statements/pages.ts";
import { filterArguments, listArguments, positionOf } from "../statements/run-filters.ts";
import type { RunProperty } from "../statements/runs.ts";
import { firstRow, readRows, type StoreContext } from "./context.ts";

type Rows = readonly (readonly unknown[])[];

export async function findRun(
  { connection, codecs, statements }: StoreContext,
  runId: string,
  payloads: boolean,
): Promise<WorkflowRun | WorkflowRunSummary | null> {
  const statement = payloads ? statements.runs.get : statements.runs.getSummary;
  const properties = payloads ? codecs.run.properties : runSummaryProperties;
  const [found] = await connection.read([statement.bind({ runId })]);
  const row = firstRow(found);
  return row && codecs.run.decodeCells(properties, row);
}

export async function listRuns(
  context: StoreContext,
  query: ParsedRunQuery,
  payloads: boolean,
): Promise<RunPage<WorkflowRun | WorkflowRunSummary>> {
  if (payloads) return readPage(context, query, context.codecs.run.properties);
  const statement = context.statements.lists.summaries(query).bind(listArguments(query));
  const rows = await readRows(context.connection, statement);
  // Details are almost always small. If some are not, the page is read again.
  if (!rows.every(hasDetails)) return readPage(context, query, runSummaryProperties);
  return decodePage(context, query, runSummaryProperties, { rows, found: rows.length });
}

async function readPage<Property extends RunProperty>(
  context: StoreContext,
  query: ParsedRunQuery,
  properties: readonly Property[],
): Promise<RunPage<Pick<WorkflowRun, Property>>> {
  const statement = context.statements.lists
    .list({ query, order: orderOf(query), properties })
    .bind(listArguments(query));
  const page = rowsInPlace(await readRows(context.connection, statement));
  return decodePage(context, query, properties, page);
}

function decodePage<Property extends RunProperty>(
  { codecs }: StoreContext,
  query: ParsedRunQuery,
  properties: readonly Property[],
  { rows, found }: { readonly rows: Rows; readonly found: number },
): RunPage<Pick<WorkflowRun, Property>> {
  const read = rows.slice(0, query.limit);
  const page = query.isBackward ? read.toReversed() : read;
  const corrupt: CorruptRowError[] = [];
  const runs = decodeReadable(page, (row) => codecs.run.decodeCells(properties, row), corrupt);
  const [first, last] = [page[0], page.at(-1)].map((row) => row && positionOf(properties, row));
  return {
    runs,
    corrupt,
    ...listCursors(query, { first, last, continues: page.length < found }),
  };
}

/** The decoded rows that can be read. Adds the errors of the others to `corrupt`. */
export function decodeReadable<Decoded>(
  rows: Rows,
  decode: (row: readonly unknown[]) => Decoded,
  corrupt: CorruptRowError[],
): Decoded[] {
  return rows.flatMap((row) => {
    try {
      return [decode(row)];
    } catch (error) {
      if (!(error instanceof CorruptRowError)) throw error;
      corrupt.push(error);
      return [];
    }
  });
}

/** True for a row of `runSummaryProperties` whose details were small enough to be returned. */
function hasDetails(row: readonly unknown[]): boolean {
  return Number(row.at(-1)) <= inlineDetailBytes;
}

/**
 * Rows of `runSummaryProperties` with their details. Large details are read separately, in as many pages as needed. Runs
 * that were deleted in the meantime are left out.
 */
export async function withDetails(context: StoreContext, rows: Rows): Promise<Rows> {
  const { connection, statements } = context;
  const place = runSummaryProperties.indexOf("runId");
  const whole = rows.filter(hasDetails);
  const missing = new Set(rows.filter((row) => !hasDetails(row)).map((row) => String(row[place])));
  while (missing.size > 0) {
    const query = { ...everyRun, runIds: [...missing] };
    const statement = statements.lists
      .list({ query, order: "newest first", properties: runSummaryProperties })
      .bind(listArguments(query));
    const { rows: read, found } = rowsInPlace(await readRows(connection, statement));
    for (const row of read) {
      whole.push(row);
      missing.delete(String(row[place]));
    }
    if (read.length === found) break;
  }
  return whole;
}

export async function countRuns(
  { connection, statements }: StoreContext,
  filter: ParsedRunFilter,
): Promise<ReadonlyMap<unknown, number>> {
  const statement = statements.lists.count(filter).bind(filterArguments(filter));
  const rows = await readRows(connection, statement);
  return new Map(rows.map(([status, count]) => [status, Number(count)]));
}
