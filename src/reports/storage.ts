import { and, desc, eq, sql, type SQL } from "drizzle-orm";
import { sqliteTable, type SQLiteColumn, type SQLiteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { integer, text } from "../schema/columns.ts";
import { ofRuns, unindexed, within } from "./query/conditions.ts";
import { selectGroups } from "./query/durations.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import type { ReportDatabase, ReportQuery } from "./query/query.ts";

const optionsSchema = z.strictObject(reportShape);

const columns = {
  workflowId: text("workflow_id").notNull(),
  runs: integer("runs").notNull(),
  steps: integer("steps").notNull(),
  attempts: integer("attempts").notNull(),
  outputs: integer("outputs").notNull(),
  stateValues: integer("state_values").notNull(),
  runBytes: integer("run_bytes").notNull(),
  stepBytes: integer("step_bytes").notNull(),
  attemptBytes: integer("attempt_bytes").notNull(),
  outputBytes: integer("output_bytes").notNull(),
  stateBytes: integer("state_bytes").notNull(),
  totalBytes: integer("total_bytes").notNull(),
};
const row: ReturnType<typeof sqliteTable<"storage", typeof columns>> = sqliteTable(
  "storage",
  columns,
);

/** A row of `storage`. */
export type StorageRow = typeof row.$inferSelect;

/**
 * The rows of each table, and the bytes of their JSON in UTF-8, per workflow. Keys, times, indexes and free pages are not
 * included; `stats` of a store returns the size of the database.
 *
 * The window applies to the `createdAt` of the run. Largest first; ties are ordered by `workflowId`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function storage<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<ReportOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const { tables, ...filter } = parseReport(optionsSchema, db, options);
  const { workflowRuns: runs, stepExecutions: steps, stepAttempts: attempts } = tables;
  const { stepOutputs: outputs, workflowState: state } = tables;
  const { runId } = runs;
  const childrenOf = (table: Child, json: readonly SQLiteColumn[]) =>
    sql`(select sum(${oneRow} + ${bytesOf(json)}) from ${table} where ${eq(table.runId, runId)})`;
  // Payloads would be copied if their rows were sorted, so the sizes are calculated before. Runs are read in the order in
  // which they were stored, because their children are stored in about the same order.
  const sizes = sql`select ${unindexed(runs.workflowId)} as workflow_id,
      ${oneRow} + ${bytesOf([runs.input, runs.output, runs.error, runs.context, runs.tags])} as run,
      ${childrenOf(steps, [steps.input, steps.inputFrom, steps.error])} as step,
      ${childrenOf(attempts, [attempts.error])} as attempt,
      ${childrenOf(outputs, [outputs.output])} as output,
      ${childrenOf(state, [state.value])} as state
    from ${runs} where ${and(ofRuns(runs, filter), within(runs.createdAt, filter)) ?? sql`true`} limit -1 offset 0`;
  const groups = sql`select *, run_bytes + step_bytes + attempt_bytes + output_bytes + state_bytes as total_bytes from (
    select workflow_id, count(*) as runs, ${rowsIn("step")} as steps, ${rowsIn("attempt")} as attempts,
      ${rowsIn("output")} as outputs, ${rowsIn("state")} as state_values,
      ${bytesIn("run")} as run_bytes, ${bytesIn("step")} as step_bytes, ${bytesIn("attempt")} as attempt_bytes,
      ${bytesIn("output")} as output_bytes, ${bytesIn("state")} as state_bytes
    from (${sizes}) group by workflow_id)`;
  return selectGroups(db, tables, row, groups, [desc(row.totalBytes), row.workflowId]);
}

type Child = SQLiteTable & { readonly runId: SQLiteColumn };

// A sum has the number of rows of a run in its upper bits, and their bytes in the lower ones: up to eight million rows of a
// terabyte. A second subquery would search the index again.
const byteBits = 40;
const oneRow = sql.raw(`(1 << ${byteBits})`);

function rowsIn(sizes: string): SQL {
  return sql.raw(`coalesce(sum(${sizes} >> ${byteBits}), 0)`);
}

function bytesIn(sizes: string): SQL {
  return sql.raw(`coalesce(sum(${sizes} & (1 << ${byteBits}) - 1), 0)`);
}

/** The size of values. SQLite reads it from the header of the row, without the value. */
function bytesOf(json: readonly SQLiteColumn[]): SQL {
  return sql.join(
    json.map((column) => sql`coalesce(octet_length(${column}), 0)`),
    sql` + `,
  );
}
