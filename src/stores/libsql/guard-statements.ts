import { and, eq, notExists, sql, type SQL } from "drizzle-orm";
import type { RowCodecs } from "../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../schema/tables.ts";
import { rowIf, runExists } from "./fragments.ts";
import {
  defineFollowUp,
  defineStatement,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

/**
 * Guards: statements that fail, and so undo their batch, when a precondition does not hold.
 *
 * They insert a row of NULLs where none may be. A batch has no other way to stop in one round trip.
 */
export function createGuardStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const { workflowRuns: runs, stepExecutions: steps } = tables;
  const nulls = codecs.step.properties.map(() => sql`null`);
  const failIf = (target: Database, condition: SQL) =>
    target.insert(steps).select(rowIf(nulls, condition));

  return {
    /** Fails when the write just before it changed nothing. */
    changed: defineFollowUp<never, ReturnType<typeof failIf>>(db, (target) =>
      failIf(target, sql`changes() = 0`),
    ),

    /** Fails when the insert just before it changed nothing, and no run has the idempotency key. */
    changedOrIdempotent: defineFollowUp(
      db,
      (target, argument: ArgumentReference<"workflowId" | "idempotencyKey">) => {
        const existing = target
          .select({ one: sql`1` })
          .from(runs)
          .where(
            and(
              eq(runs.workflowId, argument("workflowId")),
              eq(runs.idempotencyKey, argument("idempotencyKey")),
            ),
          );
        return failIf(target, sql`changes() = 0 and ${notExists(existing)}`);
      },
    ),

    /** Fails when the worker does not hold the run. */
    fenced: defineStatement(db, (target, argument: ArgumentReference<"runId" | "workerId">) =>
      failIf(
        target,
        sql`not ${runExists(target, tables, argument("runId"), argument("workerId"))}`,
      ),
    ),
  };
}
