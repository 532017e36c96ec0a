import { getTableColumns, getTableName } from "drizzle-orm";
import { getTableConfig, type SQLiteColumn, type SQLiteTable } from "drizzle-orm/sqlite-core";
import type { RunBundle } from "../model/bundles.ts";
import {
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowRuns,
  workflowState,
} from "../schema/tables.ts";

/** The table that each part of a bundle comes from. */
const tables = {
  run: workflowRuns,
  steps: stepExecutions,
  attempts: stepAttempts,
  outputs: stepOutputs,
  state: workflowState,
} as const satisfies Record<keyof RunBundle, SQLiteTable>;

type PartName = keyof typeof tables;

/** One part of a bundle as its table describes it: nothing here knows a column by name. */
export interface BundlePart {
  readonly name: PartName;
  /** The name of its table. */
  readonly table: string;
  readonly columns: Readonly<Record<string, SQLiteColumn>>;
  readonly properties: readonly string[];
  /** Properties that are `Date` in a row and ISO 8601 in JSON. */
  readonly times: readonly string[];
  /** Properties whose content is the user's. */
  readonly payloads: ReadonlySet<string>;
  /** Properties that tell the rows of one run apart; none for the run itself. */
  readonly keys: readonly string[];
}

export const bundleParts: readonly BundlePart[] = (Object.keys(tables) as PartName[]).map(
  (name) => {
    const table: SQLiteTable = tables[name];
    const columns: Record<string, SQLiteColumn> = getTableColumns(table);
    const entries = Object.entries(columns);
    const ofType = (type: string) =>
      entries.flatMap(([property, { columnType }]) => (columnType === type ? [property] : []));
    const keyColumns = new Set(
      getTableConfig(table).primaryKeys.flatMap((key) => key.columns.map((column) => column.name)),
    );
    return {
      name,
      table: getTableName(table),
      columns,
      properties: entries.map(([property]) => property),
      times: ofType("SQLiteTimestamp"),
      payloads: new Set(ofType("SQLiteCustomColumn")),
      keys: entries.flatMap(([property, column]) =>
        keyColumns.has(column.name) && property !== "runId" ? [property] : [],
      ),
    };
  },
);

export type BundleRow = Record<string, unknown>;

/** The rows of a part: of the run there is one. */
export function rowsOf(bundle: RunBundle, { name }: BundlePart): readonly BundleRow[] {
  const rows: BundleRow | readonly BundleRow[] = bundle[name];
  return Array.isArray(rows) ? (rows as readonly BundleRow[]) : [rows as BundleRow];
}
