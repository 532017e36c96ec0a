import { and, eq, lte, max, or, sql } from "drizzle-orm";
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

const quarterOfAnHourMs = 900_000;

export interface StuckRunsOptions extends PresentOptions {
  /** The time in milliseconds without a write to the run or its steps. Defaults to 15 minutes. */
  readonly idleMs?: number | undefined;
}

const optionsSchema = z.strictObject({
  ...presentShape,
  idleMs: z.optional(z.int().check(z.minimum(0))),
});

const columns = {
  runId: text("run_id").notNull(),
  workflowId: text("workflow_id").notNull(),
  resourceId: text("resource_id"),
  workerId: text("worker_id"),
  attempt: integer("attempt").notNull(),
  startedAt: time("started_at"),
  leaseExpiresAt: time("lease_expires_at"),
  lastActivityAt: time("last_activity_at").notNull(),
  idleMs: integer("idle_ms").notNull(),
};
const row: ReturnType<typeof sqliteTable<"stuck_runs", typeof columns>> = sqliteTable(
  "stuck_runs",
  columns,
);

/** A row of `stuckRuns`. */
export type StuckRunsRow = typeof row.$inferSelect;

/**
 * The RUNNING runs without a write to the run or its steps for `idleMs`, and those whose lease has expired. Extending
 * the lease does not count as a write.
 *
 * The window applies to `createdAt`. Longest idle first; ties are ordered by `runId`.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 */
export function stuckRuns<Mode extends "sync" | "async", RunResult>(
  db: ReportDatabase<Mode, RunResult>,
  options: Readonly<StuckRunsOptions> = {},
): ReportQuery<typeof row, Mode, RunResult> {
  const {
    tables,
    idleMs = quarterOfAnHourMs,
    now = new Date(),
    ...filter
  } = parseReport(optionsSchema, db, options);
  const { workflowRuns: runs, stepExecutions: steps } = tables;
  const lastStepAt = builder
    .select({ at: max(steps.updatedAt) })
    .from(steps)
    .where(eq(steps.runId, runs.runId));
  const running = builder
    .select({
      runId: runs.runId,
      workflowId: runs.workflowId,
      resourceId: runs.resourceId,
      workerId: runs.workerId,
      attempt: runs.attempt,
      startedAt: runs.startedAt,
      leaseExpiresAt: runs.leaseExpiresAt,
      lastActivityAt: sql`max(${runs.updatedAt}, coalesce(${lastStepAt}, ${runs.updatedAt}))`.as(
        row.lastActivityAt.name,
      ),
    })
    .from(runs)
    .where(and(eq(runs.status, "RUNNING"), ofRuns(runs, filter), within(runs.createdAt, filter)))
    .as("running");
  const report = builder
    .select(
      rowOf(row, {
        runId: running.runId,
        workflowId: running.workflowId,
        resourceId: running.resourceId,
        workerId: running.workerId,
        attempt: running.attempt,
        startedAt: running.startedAt,
        leaseExpiresAt: running.leaseExpiresAt,
        lastActivityAt: running.lastActivityAt,
        idleMs: sql`${now.getTime()} - ${running.lastActivityAt}`,
      }),
    )
    .from(running)
    .where(
      or(lte(running.lastActivityAt, now.getTime() - idleMs), lte(running.leaseExpiresAt, now)),
    );
  return selectReport(db, tables, row, report, row.lastActivityAt, row.runId);
}
