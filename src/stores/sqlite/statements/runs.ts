import { and, eq, inArray, isNotNull, notInArray, or, sql, type SQL } from "drizzle-orm";
import { finalRunStatuses, reopenableRunStatuses } from "../../../model/transitions.ts";
import { alias, type SQLiteTable } from "drizzle-orm/sqlite-core";
import { runSummaryProperties, type RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowRun } from "../../../schema/rows.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { argumentsFor, isHeld, type FenceArgument } from "./fragments.ts";
import { pick } from "./pages.ts";
import {
  defineFollowUp,
  defineRowStatement,
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

export type RunProperty = keyof WorkflowRun & string;

/** The columns that explain why a write changed nothing. */
export const runGuardProperties = [
  "runId",
  "status",
  "revision",
  "workerId",
  "attempt",
  "leaseExpiresAt",
] as const;

/** The columns that an update sets, and those that it sets if they are null. */
export interface UpdateShape<Property> {
  readonly set: readonly Property[];
  readonly setOnce: readonly Property[];
}

type UpdateArgument = RunProperty | FenceArgument | "whereRunId" | "whereRevision";
type TakenArgument = "runId" | "workflowId" | "idempotencyKey";
type ReleaseArgument = "whereRunId" | "whereRevision" | "now";

export function createRunStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const runs = tables.workflowRuns;
  const other = alias(runs, "other");
  const { properties } = codecs.run;
  const byId = (argument: ArgumentReference<"runId">) => eq(runs.runId, argument("runId"));
  const hasIdOrKey = (argument: ArgumentReference<TakenArgument>) =>
    or(
      byId(argument),
      and(
        eq(runs.workflowId, argument("workflowId")),
        eq(runs.idempotencyKey, argument("idempotencyKey")),
      ),
    );

  return {
    /** Changes nothing if the run id or the idempotency key is taken. */
    insert: defineStatement<RunProperty, ReturnType<typeof buildInsert>>(db, buildInsert),

    /**
     * Takes the key from the run if it has the revision. Changes nothing if the id of the new run is taken, so that the
     * insert after it succeeds.
     */
    releaseKey: defineStatement(
      db,
      (target, argument: ArgumentReference<TakenArgument | ReleaseArgument>) =>
        target
          .update(runs)
          .set({
            idempotencyKey: null,
            revision: sql`${runs.revision} + 1`,
            updatedAt: argument("now"),
          })
          .where(
            and(
              eq(runs.runId, argument("whereRunId")),
              eq(runs.revision, argument("whereRevision")),
              eq(runs.workflowId, argument("workflowId")),
              eq(runs.idempotencyKey, argument("idempotencyKey")),
              sql`not exists ${target
                .select({ one: sql`1` })
                .from(other)
                .where(eq(other.runId, argument("runId")))}`,
            ),
          ),
    ),

    /** The runs that have the id or the key, if the insert before it changed nothing. */
    findTaken: defineFollowUp(db, (target, argument: ArgumentReference<TakenArgument>) =>
      target
        .select(pick(runs, properties))
        .from(runs)
        .where(and(hasIdOrKey(argument), sql`changes() = 0`)),
    ),

    /** The ids of the runs that have the id or the key. */
    findHolders: defineStatement(db, (target, argument: ArgumentReference<TakenArgument>) =>
      target.select({ runId: runs.runId }).from(runs).where(hasIdOrKey(argument)),
    ),

    get: defineRowStatement(db, (target, argument: ArgumentReference<"runId">) =>
      target.select(pick(runs, properties)).from(runs).where(byId(argument)),
    ),

    getSummary: defineRowStatement(db, (target, argument: ArgumentReference<"runId">) =>
      target.select(pick(runs, runSummaryProperties)).from(runs).where(byId(argument)),
    ),

    getGuard: defineFollowUp(db, (target, argument: ArgumentReference<"runId">) =>
      target.select(pick(runs, runGuardProperties)).from(runs).where(byId(argument)),
    ),

    /** Changes nothing if the run is missing or has ended, or a precondition fails. */
    update: defineUpdate((argument) =>
      and(
        eq(runs.runId, argument("whereRunId")),
        notInArray(runs.status, [...finalRunStatuses]),
        isHeld(tables, argument),
        isAtRevision(tables, argument),
      ),
    ),

    /** Changes nothing if the run is missing or cannot be reopened. Sets the deadline of `reopenedDeadline`. */
    reopen: defineUpdate(
      (argument) =>
        and(
          eq(runs.runId, argument("whereRunId")),
          inArray(runs.status, [...reopenableRunStatuses]),
          isAtRevision(tables, argument),
        ),
      (argument) => ({ deadlineAt: sql`${argument("updatedAt")} + ${runs.timeoutMs}` }),
    ),

    /** Changes nothing unless the worker holds the run under a lease. */
    release: defineUpdate((argument) => isLeased(argument("whereRunId"), argument)),

    /** Like `release`, and changes only the lease, which ends at the later time. */
    extendLease: defineStatement(
      db,
      (target, argument: ArgumentReference<"runId" | "leaseExpiresAt" | FenceArgument>) =>
        target
          .update(runs)
          .set({
            leaseExpiresAt: sql`max(${runs.leaseExpiresAt}, ${argument("leaseExpiresAt")})`,
          })
          .where(isLeased(argument("runId"), argument))
          .returning({ leaseExpiresAt: runs.leaseExpiresAt }),
    ),

    delete: defineStatement(db, (target, argument: ArgumentReference<"runId" | "whereRevision">) =>
      target.delete(runs).where(and(byId(argument), isAtRevision(tables, argument))),
    ),
  };

  /** An update that increments the revision. */
  function defineUpdate(
    where: (argument: ArgumentReference<UpdateArgument>) => SQL | undefined,
    computed: (argument: ArgumentReference<UpdateArgument>) => Record<string, SQL> = () => ({}),
  ) {
    return statementFamily(updateKey, (shape: UpdateShape<RunProperty>) =>
      defineStatement(db, (target, argument: ArgumentReference<UpdateArgument>) =>
        target
          .update(runs)
          .set({
            ...progressResets(shape, argument),
            ...assignments(runs, shape, argument),
            ...computed(argument),
            revision: sql`${runs.revision} + 1`,
          })
          .where(where(argument)),
      ),
    );
  }

  function buildInsert(target: Database, argument: ArgumentReference<RunProperty>) {
    // Drizzle puts the condition of a partial index behind `do nothing`. `do update` would take half as long again.
    const key = sql`${runs.workflowId}, ${runs.idempotencyKey}) where (idempotency_key is not null`;
    return target
      .insert(runs)
      .values(argumentsFor(properties, argument))
      .onConflictDoNothing({ target: runs.runId })
      .onConflictDoNothing({ target: key });
  }

  /** The rule of `keptLostLeases`. */
  function progressResets(
    { set }: UpdateShape<RunProperty>,
    argument: ArgumentReference<RunProperty>,
  ) {
    if (!set.includes("progress")) return {};
    return {
      lostLeases: sql`case when ${argument("progress")} > ${runs.progress} then 0 else ${runs.lostLeases} end`,
    };
  }

  function isLeased(runId: SQL, fence: ArgumentReference<FenceArgument>): SQL | undefined {
    return and(eq(runs.runId, runId), isHeld(tables, fence), isNotNull(runs.leaseExpiresAt));
  }
}

/** True for any revision if the argument is null. */
export function isAtRevision(
  { workflowRuns: runs }: WorkflowTables,
  argument: ArgumentReference<"whereRevision">,
): SQL {
  return sql`${runs.revision} = coalesce(${argument("whereRevision")}, ${runs.revision})`;
}

export function updateKey({ set, setOnce }: UpdateShape<string>): string {
  return `${set.join()}/${setOnce.join()}`;
}

/** The assignments of the shape's columns. */
export function assignments<
  Table extends SQLiteTable,
  Property extends keyof Table["_"]["columns"] & string,
>(
  table: Table,
  { set, setOnce }: UpdateShape<Property>,
  argument: ArgumentReference<Property>,
): Partial<Record<Property, SQL>> {
  const columns = pick(table, setOnce);
  return {
    ...argumentsFor(set, argument),
    ...Object.fromEntries(
      setOnce.map((name) => [name, sql`coalesce(${columns[name]}, ${argument(name)})`]),
    ),
  };
}
