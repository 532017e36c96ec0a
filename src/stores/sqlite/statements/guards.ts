import { and, count, eq, exists, notExists, sql, type SQL } from "drizzle-orm";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { guardPath } from "../errors/symptoms.ts";
import { newerRun, type NewerArgument } from "./bundles.ts";
import { runExists, type FenceArgument } from "./fragments.ts";
import {
  defineFollowUp,
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

/**
 * Guards: statements that fail, and so undo their batch, when a precondition does not hold.
 *
 * They ask for a JSON path that is none. A batch has no other way to stop in one round trip that an app's triggers
 * cannot change: a row that breaks a constraint is left out by a trigger that raises IGNORE.
 */
export function createGuardStatements(db: Database, tables: WorkflowTables) {
  const { workflowRuns: runs, stepExecutions: steps, workflowState: state } = tables;
  const children = {
    steps: { table: steps, runId: steps.runId },
    attempts: { table: tables.stepAttempts, runId: tables.stepAttempts.runId },
    outputs: { table: tables.stepOutputs, runId: tables.stepOutputs.runId },
    state: { table: state, runId: state.runId },
  };
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

    /** Fails when the run is still there. */
    runGone: defineFollowUp(db, (target, argument: ArgumentReference<"runId">) =>
      failIf(target, runExists(target, tables, argument("runId"), null)),
    ),

    /** Fails when the key is still there, or the fence does not hold. */
    stateGone: statementFamily(
      (shape: { readonly fenced: boolean }) => String(shape.fenced),
      ({ fenced }) =>
        defineFollowUp(
          db,
          (target, argument: ArgumentReference<"runId" | "key" | FenceArgument>) => {
            const kept = target
              .select({ one: sql`1` })
              .from(state)
              .where(and(eq(state.runId, argument("runId")), eq(state.key, argument("key"))));
            if (!fenced) return failIf(target, exists(kept));
            const held = runExists(target, tables, argument("runId"), argument);
            return failIf(target, sql`${exists(kept)} or not ${held}`);
          },
        ),
    ),

    /** Fails if the run exists and is newer than the bundle. */
    notNewer: defineStatement(db, (target, argument: ArgumentReference<NewerArgument>) =>
      failIf(target, exists(newerRun(target, tables, argument))),
    ),

    /** Fails when the run has fewer children than were written with it. */
    whole: defineStatement(
      db,
      (target, argument: ArgumentReference<"runId" | keyof typeof children>) => {
        const lacking = Object.entries(children).map(([name, { table, runId }]) => {
          const found = target
            .select({ count: count() })
            .from(table)
            .where(eq(runId, argument("runId")));
          return sql`${found} < ${argument(name as keyof typeof children)}`;
        });
        return failIf(target, sql.join(lacking, sql` or `));
      },
    ),

    /** Fails when the fence does not hold. */
    fenced: defineStatement(db, (target, argument: ArgumentReference<"runId" | FenceArgument>) =>
      failIf(target, sql`not ${runExists(target, tables, argument("runId"), argument)}`),
    ),
  };
}

function failIf(target: Database, condition: SQL) {
  const path = sql`case when ${condition} then ${sql.raw(`'${guardPath}'`)} end`;
  return target
    .select({ guard: sql`json_extract('{}', ${path})`.as("guard") })
    .from(sql`(select 1)`);
}
