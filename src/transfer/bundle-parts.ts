import { getTableColumns, getTableName } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import type * as z from "zod/mini";
import type { RunBundle } from "../model/bundles.ts";
import { rowCodecs } from "../schema/row-codecs.ts";
import {
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowRuns,
  workflowState,
} from "../schema/tables.ts";
import {
  stepAttemptSchema,
  stepExecutionSchema,
  stepOutputSchema,
  workflowRunSchema,
  workflowStateSchema,
} from "../schema/zod.ts";

export type BundleRow = Record<string, unknown>;

/** One part of a bundle, derived from its table: exports and comparisons know no column by name. */
export interface BundlePart {
  readonly name: keyof RunBundle;
  readonly table: string;
  readonly columns: Readonly<Record<string, SQLiteColumn>>;
  readonly properties: readonly string[];
  /** Accepts a row that a store accepts. Payloads are checked when they are encoded. */
  readonly schema: z.ZodMiniType;
  /** Properties that are `Date` in a row and ISO 8601 in JSON. */
  readonly times: readonly string[];
  /** Properties whose content is the user's. */
  readonly payloads: ReadonlySet<string>;
  /** Properties that identify a row within its run; empty for the run itself. */
  readonly keys: readonly string[];
}

export const bundleParts: readonly BundlePart[] = Object.entries({
  run: [workflowRuns, workflowRunSchema],
  steps: [stepExecutions, stepExecutionSchema],
  attempts: [stepAttempts, stepAttemptSchema],
  outputs: [stepOutputs, stepOutputSchema],
  state: [workflowState, workflowStateSchema],
} as const satisfies Record<keyof RunBundle, [SQLiteTable, z.ZodMiniType]>).map((entry) => {
  const [part, [table, schema]] = entry;
  const name = part as keyof RunBundle;
  const columns: Record<string, SQLiteColumn> = getTableColumns(table as SQLiteTable);
  const { properties, key }: Record<"properties" | "key", readonly string[]> = rowCodecs[name];
  const ofType = (type: string) => properties.filter((each) => columns[each]?.columnType === type);
  return {
    name,
    table: getTableName(table),
    columns,
    properties,
    schema,
    times: ofType("SQLiteTimestamp"),
    payloads: new Set(ofType("SQLiteCustomColumn")),
    keys: key.filter((each) => each !== "runId"),
  };
});

/** The rows of a part; the run's own row is the only one of `run`. */
export function rowsOf(bundle: RunBundle, { name }: BundlePart): readonly BundleRow[] {
  return [bundle[name]].flat() as readonly BundleRow[];
}
