import { and, eq, isNull, lte, sql, type SQL } from "drizzle-orm";
import { sqliteTable, unionAll, type SQLiteColumn } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { integer, text, time } from "../schema/columns.ts";
import { ofRuns, unindexed, withDetails, within } from "./query/conditions.ts";
import { parseReport, presentShape, type PresentOptions } from "./query/options.ts";
import {
  builder,
  rowOf,
  selectReport,
  type ReportDatabase,
  type ReportQuery,
} from "./query/query.ts";

export interface OldestPendingOptions extends PresentOptions {}

const optionsSchema = z.strictObject(presentShape);

const columns = {
  runId: text("run_id").notNull(),
  workflowId: text("workflow_id").notNull(),
  resourceId: text("resource_id"),
  attempt: integer("attempt").notNull(),
  createdAt: time("created_at").notNull(),
  pendingSince: time("pending_since").notNull(),
  waitingMs: integer("waiting_ms").notNull(),
};
const row: ReturnType<typeof sqliteTable<"oldest_pending", typeof columns>> = sqliteTable(
  "oldest_pending",
  columns,
);

/** A row of `oldestPending`. */
export type OldestPendingRow = typeof row.$inferSelect;

/**
 * The PENDING runs that a worker can claim, in the order of claims. A run whose `wakeAt` is in the future is left out.
 * Add `limit` to get a page.
 *
 * `pendingSince` is the run's `wakeAt`, or its `createdAt` if it has none; `waitingMs` is never negative. The window
 * applies to `createdAt`. Ordered by `pendingSince`, then `createdAt`, then `runId`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function oldestPending<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<OldestPendingOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const { tables, now = new Date(), ...filter } = parseReport(optionsSchema, db, options);
  const runs = tables.workflowRuns;
  const pending = (since: SQLiteColumn, ...conditions: (SQL | undefined)[]) =>
    builder
      .select(
        rowOf(row, {
          runId: runs.runId,
          workflowId: runs.workflowId,
          resourceId: runs.resourceId,
          attempt: runs.attempt,
          createdAt: runs.createdAt,
          pendingSince: since,
          waitingMs: sql`max(0, ${now.getTime()} - ${since})`,
        }),
      )
      .from(runs)
      .where(and(...conditions));
  // SQLite merges two queries that are each in the order of an index. The plus signs keep the second one on the index by
  // `wakeAt`, which has the runs of all workflows.
  const { workflowId } = filter;
  const report = unionAll(
    pending(
      runs.createdAt,
      ofRuns(runs, filter),
      eq(runs.status, "PENDING"),
      isNull(runs.wakeAt),
      within(runs.createdAt, filter),
    ),
    pending(
      runs.wakeAt,
      workflowId === undefined ? undefined : sql`${unindexed(runs.workflowId)} = ${workflowId}`,
      sql`${unindexed(runs.status)} = 'PENDING'`,
      lte(runs.wakeAt, now),
      within(unindexed(runs.createdAt), filter),
      withDetails(runs, filter),
    ),
  );
  return selectReport(db, tables, row, report, row.pendingSince, row.createdAt, row.runId);
}
