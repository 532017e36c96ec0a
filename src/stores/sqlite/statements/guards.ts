import { and, count, eq, exists, notExists, or, sql, type SQL } from "drizzle-orm";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { guardPath } from "../errors/symptoms.ts";
import { newerRun, type NewerArgument } from "./bundles.ts";
import {
  childParts,
  childTables,
  isAllowed,
  keyOf,
  runExists,
  selectOne,
  type ChildPart,
  type FenceArgument,
} from "./fragments.ts";
import { isAtRevision } from "./runs.ts";
import {
  defineFollowUp,
  defineStatement,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

/**
 * Statements that fail if a precondition does not hold, so that their batch is rolled back in the same round trip.
 *
 * They use an invalid JSON path. A row that violates a constraint would not do, because a trigger of the app that raises
 * IGNORE can leave the row out.
 */
export function createGuardStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const { workflowRuns: runs, workflowState: state } = tables;
  const childrenGuard = (comparison: SQL) =>
    defineStatement(db, (target, argument: ArgumentReference<"runId" | ChildPart>) => {
      const failures = childParts.map((part) => {
        const found = target
          .select({ count: count() })
          .from(childTables(tables)[part])
          .where(eq(keyOf(tables, codecs, part).runId, argument("runId")));
        return sql`${found} ${comparison} ${argument(part)}`;
      });
      return failIf(target, sql.join(failures, sql` or `));
    });
  return {
    /** Fails if the write before it changed nothing. */
    changed: defineFollowUp<never, ReturnType<typeof failIf>>(db, (target) =>
      failIf(target, sql`changes() = 0`),
    ),

    /** Fails if the insert before it changed nothing, and no run has the idempotency key. */
    changedOrIdempotent: defineFollowUp(
      db,
      (target, argument: ArgumentReference<"workflowId" | "idempotencyKey">) => {
        const hasKey = and(
          eq(runs.workflowId, argument("workflowId")),
          eq(runs.idempotencyKey, argument("idempotencyKey")),
        );
        return failIf(target, sql`changes() = 0 and ${notExists(selectOne(target, runs, hasKey))}`);
      },
    ),

    /** Fails if the insert before it changed nothing, and no run has the id or the idempotency key. */
    changedOrTaken: defineFollowUp(
      db,
      (target, argument: ArgumentReference<"runId" | "workflowId" | "idempotencyKey">) => {
        const hasKey = and(
          eq(runs.workflowId, argument("workflowId")),
          eq(runs.idempotencyKey, argument("idempotencyKey")),
        );
        const isTaken = or(eq(runs.runId, argument("runId")), hasKey);
        return failIf(
          target,
          sql`changes() = 0 and ${notExists(selectOne(target, runs, isTaken))}`,
        );
      },
    ),

    /** Fails if the run exists. */
    runGone: defineFollowUp(db, (target, argument: ArgumentReference<"runId">) =>
      failIf(target, runExists(target, tables, argument("runId"), null)),
    ),

    /** Fails if the key exists, or the fence does not hold. */
    stateGone: defineFollowUp(
      db,
      (target, argument: ArgumentReference<"runId" | "key" | FenceArgument>) => {
        const isKey = and(eq(state.runId, argument("runId")), eq(state.key, argument("key")));
        const allowed = isAllowed(target, tables, argument("runId"), argument);
        return failIf(target, sql`${exists(selectOne(target, state, isKey))} or not ${allowed}`);
      },
    ),

    /** Fails if the key exists although it may be deleted, because a trigger left out its deletion. */
    stateKept: defineFollowUp(
      db,
      (target, argument: ArgumentReference<"runId" | "key" | FenceArgument>) => {
        const isKey = and(eq(state.runId, argument("runId")), eq(state.key, argument("key")));
        const allowed = isAllowed(target, tables, argument("runId"), argument);
        return failIf(target, sql`${exists(selectOne(target, state, isKey))} and ${allowed}`);
      },
    ),

    /** Fails if the run exists and is newer than the bundle. */
    notNewer: defineStatement(db, (target, argument: ArgumentReference<NewerArgument>) =>
      failIf(target, exists(newerRun(target, tables, argument))),
    ),

    /** Fails if the run has fewer children than were written. */
    whole: childrenGuard(sql`<`),

    /** Fails if the run has fewer or more children than were written. */
    replaced: childrenGuard(sql`<>`),

    /** Fails if the run does not exist, or has another revision. */
    atRevision: defineStatement(
      db,
      (target, argument: ArgumentReference<"runId" | "whereRevision">) => {
        const isRun = eq(runs.runId, argument("runId"));
        const found = selectOne(target, runs, and(isRun, isAtRevision(tables, argument)));
        return failIf(target, notExists(found));
      },
    ),

    /** Fails if the run does not exist, or the fence does not hold. */
    fenced: defineStatement(db, (target, argument: ArgumentReference<"runId" | FenceArgument>) =>
      failIf(target, sql`not ${runExists(target, tables, argument("runId"), argument)}`),
    ),
  };
}

/** A query that fails if the condition holds. */
export function failIf(target: Database, condition: SQL) {
  const path = sql`case when ${condition} then ${sql.raw(`'${guardPath}'`)} end`;
  return target
    .select({ guard: sql`json_extract('{}', ${path})`.as("guard") })
    .from(sql`(select 1)`);
}
