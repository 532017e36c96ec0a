import { and, desc, eq, sql, type SQL } from "drizzle-orm";
import { sqliteTable, type SQLiteColumn, type SQLiteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { integer, text } from "../schema/columns.ts";
import { isWindow, ofRuns, unindexed, within } from "./query/conditions.ts";
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
  // Payloads would be copied if their rows were sorted, so the sizes are calculated before.
  const limit = sql`limit -1 offset 0`;
  // SQLite does not reorder a cross join, so it looks up the children of each run. Without a window, the ids of runs are
  // read from the index by workflow, in the order of the groups.
  const ofChildren = isWindow(filter)
    ? { workflowId: unindexed(runs.workflowId), end: limit }
    : { workflowId: sql`${runs.workflowId}`, end: sql`` };
  const childrenOf = (
    kind: Kind,
    table: SQLiteTable & { readonly runId: SQLiteColumn },
    json: readonly SQLiteColumn[],
  ) =>
    sumOf(
      kind,
      sql`select ${ofChildren.workflowId} as workflow_id, ${bytesOf(json)} as bytes
        from ${runs} cross join ${table} where ${and(eq(table.runId, runs.runId), chosen)} ${ofChildren.end}`,
    );
  const runBytes = bytesOf([runs.input, runs.output, runs.error, runs.context, runs.tags]);
  const parts = [
    sumOf(
      "run",
      sql`select ${unindexed(runs.workflowId)} as workflow_id, ${runBytes} as bytes
        from ${runs} where ${chosen ?? sql`true`} ${limit}`,
    ),
    childrenOf("step", steps, [steps.input, steps.inputFrom, steps.error]),
    childrenOf("attempt", attempts, [attempts.error]),
    childrenOf("output", outputs, [outputs.output]),
    childrenOf("state", state, [state.value]),
  ];
  const groups = sql`select workflow_id,
      ${sumIf("run", "number")} as runs, ${sumIf("step", "number")} as steps, ${sumIf("attempt", "number")} as attempts,
      ${sumIf("output", "number")} as outputs, ${sumIf("state", "number")} as state_values,
      ${sumIf("run", "bytes")} as run_bytes, ${sumIf("step", "bytes")} as step_bytes, ${sumIf("attempt", "bytes")} as attempt_bytes,
      ${sumIf("output", "bytes")} as output_bytes, ${sumIf("state", "bytes")} as state_bytes, sum(bytes) as total_bytes
    from (${sql.join(parts, sql` union all `)}) group by workflow_id`;
  return selectGroups(db, tables, row, groups, [desc(row.totalBytes), row.workflowId]);
}

function sumIf(kind: Kind, column: "number" | "bytes"): SQL {
  return sql`sum(iif(kind = ${sql.raw(`'${kind}'`)}, ${sql.raw(column)}, 0))`;
}

function sumOf(kind: Kind, rows: SQL): SQL {
  return sql`select workflow_id, ${sql.raw(`'${kind}'`)} as kind, count(*) as number, sum(bytes) as bytes
    from (${rows}) group by workflow_id`;
}

/** The size of values. SQLite reads it from the header of the row, without the value. */
function bytesOf(json: readonly SQLiteColumn[]): SQL {
  return sql.join(
    json.map((column) => sql`coalesce(octet_length(${column}), 0)`),
    sql` + `,
  );
}
