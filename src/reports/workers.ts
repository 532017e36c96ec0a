import { and, count, countDistinct, eq, isNotNull, max, min, sql } from "drizzle-orm";
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

export interface WorkersOptions extends PresentOptions {}

const optionsSchema = z.strictObject(presentShape);

const columns = {
  workerId: text("worker_id").notNull(),
  runs: integer("runs").notNull(),
  workflows: integer("workflows").notNull(),
  expired: integer("expired").notNull(),
  heldSince: time("held_since"),
  leaseExpiresAt: time("lease_expires_at"),
};
const row: ReturnType<typeof sqliteTable<"workers", typeof columns>> = sqliteTable(
  "workers",
  columns,
);

export type WorkersRow = typeof row.$inferSelect;

/**
 * The workers that hold RUNNING runs. A worker without a run is in no table, and is left out.
 *
 * `workflows` counts different ids of workflows, and `expired` the runs whose lease has expired: if it equals `runs`, the
 * worker is gone or hangs. `heldSince` is the first claim of its runs that it still holds, and `leaseExpiresAt` the last of its leases. The window applies to `createdAt` of the runs. Ordered by `workerId`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function workers<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<WorkersOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const { tables, now = new Date(), ...filter } = parseReport(optionsSchema, db, options);
  const runs = tables.workflowRuns;
  const report = builder
    .select(
      rowOf(row, {
        workerId: runs.workerId,
        runs: count(),
        workflows: countDistinct(runs.workflowId),
        expired: sql`total(${runs.leaseExpiresAt} <= ${now.getTime()})`,
        heldSince: min(runs.claimedAt),
        leaseExpiresAt: max(runs.leaseExpiresAt),
      }),
    )
    .from(runs)
    .where(
      and(
        eq(runs.status, "RUNNING"),
        isNotNull(runs.workerId),
        ofRuns(runs, filter),
        within(runs.createdAt, filter),
      ),
    )
    .groupBy(runs.workerId);
  return selectReport(db, tables, row, report, row.workerId);
}
