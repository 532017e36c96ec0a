import { and, count, desc, eq, sql, sum, type SQL } from "drizzle-orm";
import {
  sqliteTable,
  unionAll,
  type SQLiteColumn,
  type SQLiteTable,
} from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { integer, text } from "../schema/columns.ts";
import { isWindow, ofRuns, unindexed, within } from "./query/conditions.ts";
import { parseReport, reportShape, type ReportOptions } from "./query/options.ts";
import {
  builder,
  rowOf,
  selectReport,
  type ReportDatabase,
  type ReportQuery,
} from "./query/query.ts";

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

type Kind = "run" | "step" | "attempt" | "output" | "state";

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
  const chosen = and(ofRuns(runs, filter), within(runs.createdAt, filter));
  const holding = (kind: Kind, json: readonly SQLiteColumn[]) =>
    builder
      .select({
        workflowId: runs.workflowId,
        kind: sql`${sql.raw(`'${kind}'`)}`.as("kind"),
        rows: count().as("rows"),
        bytes: sumOfBytes(json).as("bytes"),
      })
      .from(runs);
  // Runs are read by row, or by window, and then grouped.
  const workflow = unindexed(runs.workflowId);
  // Without a window, their ids are read from the index by workflow, in the order of the groups.
  const inOrder = isWindow(filter) ? workflow : sql`${runs.workflowId}`;
  // SQLite does not reorder a cross join, so it looks up the children of each run.
  const childrenOf = (
    kind: Kind,
    table: SQLiteTable & { readonly runId: SQLiteColumn },
    json: readonly SQLiteColumn[],
  ) =>
    holding(kind, json)
      .crossJoin(table)
      .where(and(eq(table.runId, runs.runId), chosen))
      .groupBy(inOrder);

  const parts = unionAll(
    holding("run", [runs.input, runs.output, runs.error, runs.context, runs.tags])
      .where(chosen)
      .groupBy(workflow),
    childrenOf("step", steps, [steps.input, steps.inputFrom, steps.error]),
    childrenOf("attempt", attempts, [attempts.error]),
    childrenOf("output", outputs, [outputs.output]),
    childrenOf("state", state, [state.value]),
  ).as("parts");
  const of = (kind: Kind, value: SQL.Aliased) =>
    sql`sum(case ${parts.kind} when ${sql.raw(`'${kind}'`)} then ${value} else 0 end)`;
  const report = builder
    .select(
      rowOf(row, {
        workflowId: parts.workflowId,
        runs: of("run", parts.rows),
        steps: of("step", parts.rows),
        attempts: of("attempt", parts.rows),
        outputs: of("output", parts.rows),
        stateValues: of("state", parts.rows),
        runBytes: of("run", parts.bytes),
        stepBytes: of("step", parts.bytes),
        attemptBytes: of("attempt", parts.bytes),
        outputBytes: of("output", parts.bytes),
        stateBytes: of("state", parts.bytes),
        totalBytes: sum(parts.bytes),
      }),
    )
    .from(parts)
    .groupBy(parts.workflowId);
  return selectReport(db, tables, row, report, desc(row.totalBytes), row.workflowId);
}

/** The size of a value. SQLite reads it from the header of the row, without the value. */
function sumOfBytes(json: readonly SQLiteColumn[]): SQL {
  const sizes = json.map((column) => sql`coalesce(sum(octet_length(${column})), 0)`);
  return sql.join(sizes, sql` + `);
}
