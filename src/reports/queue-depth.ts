import { and, sql } from "drizzle-orm";
import { sqliteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { integer, text, time } from "../schema/columns.ts";
import { ofRuns, within } from "./query/conditions.ts";
import { parseReport, presentShape, type PresentOptions } from "./query/options.ts";
import {
  builder,
  rowOf,
  selectReport,
  type ReportDatabase,
  type ReportQuery,
} from "./query/query.ts";

export interface QueueDepthOptions extends PresentOptions {}

const optionsSchema = z.strictObject(presentShape);

const columns = {
  workflowId: text("workflow_id").notNull(),
  workflowVersion: text("workflow_version").notNull(),
  ready: integer("ready").notNull(),
  sleeping: integer("sleeping").notNull(),
  pendingSince: time("pending_since"),
  waitingMs: integer("waiting_ms"),
};
const row: ReturnType<typeof sqliteTable<"queue_depth", typeof columns>> = sqliteTable(
  "queue_depth",
  columns,
);

export type QueueDepthRow = typeof row.$inferSelect;

/**
 * The PENDING runs of each version of a workflow. One row per version with such runs.
 *
 * `ready` counts the runs that a worker can claim, and `sleeping` those whose `wakeAt` is in the future. `pendingSince` is
 * the earliest time at which a ready run could be claimed, as in `oldestPending`, and `waitingMs` its age; both are null
 * without ready runs. The window applies to `createdAt`. Ordered by `workflowId`, then `workflowVersion`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function queueDepth<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<QueueDepthOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const { tables, now = new Date(), ...filter } = parseReport(optionsSchema, db, options);
  const runs = tables.workflowRuns;
  const at = now.getTime();
  const isReady = sql`coalesce(${runs.wakeAt}, ${at}) <= ${at}`;
  const pendingSince = sql`min(iif(${isReady}, coalesce(${runs.wakeAt}, ${runs.createdAt}), null))`;
  const report = builder
    .select(
      rowOf(row, {
        workflowId: runs.workflowId,
        workflowVersion: runs.workflowVersion,
        ready: sql`sum(${isReady})`,
        sleeping: sql`sum(not ${isReady})`,
        pendingSince,
        waitingMs: sql`max(0, ${at} - ${pendingSince})`,
      }),
    )
    .from(runs)
    // As a literal, it lets SQLite use the index of pending runs, which has all columns.
    .where(
      and(
        sql`${runs.status} = 'PENDING'`,
        ofRuns(runs, filter),
        within(sql`+${runs.createdAt}`, filter),
      ),
    )
    .groupBy(runs.workflowId, runs.workflowVersion);
  return selectReport(db, tables, row, report, row.workflowId, row.workflowVersion);
}
