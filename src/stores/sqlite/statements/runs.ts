import { and, eq, inArray, isNotNull, notInArray, or, sql, type SQL } from "drizzle-orm";
import { finalRunStatuses, reopenableRunStatuses } from "../../../model/transitions.ts";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import { payloadColumns, type WorkflowRun } from "../../../schema/rows.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { argumentsFor, isHeld, pick, type FenceArgument } from "./fragments.ts";
import {
  defineFollowUp,
  defineRowStatement,
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

export type RunProperty = keyof WorkflowRun & string;

/** What a change of a run is checked against. */
export const runGuardProperties = [
  "runId",
  "status",
  "revision",
  "workerId",
  "attempt",
  "leaseExpiresAt",
] as const;

const payloads: ReadonlySet<string> = new Set(payloadColumns);

export type SummaryProperty = Exclude<RunProperty, (typeof payloadColumns)[number]>;

export function summaryProperties(codecs: RowCodecs): readonly SummaryProperty[] {
  return codecs.run.properties.filter((name): name is SummaryProperty => !payloads.has(name));
}

/** Which columns an update sets, and what it demands. */
export interface RunUpdateShape {
  readonly set: readonly RunProperty[];
  readonly setOnce: readonly RunProperty[];
  readonly fenced: boolean;
  readonly revised: boolean;
}

type UpdateArgument = RunProperty | FenceArgument | "whereRunId" | "whereRevision";

export function createRunStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const runs = tables.workflowRuns;
  const { properties } = codecs.run;
  const byId = (argument: ArgumentReference<"runId">) => eq(runs.runId, argument("runId"));

  return {
    /** Changes nothing where the run id or the idempotency key is taken. */
    insert: defineStatement<RunProperty, ReturnType<typeof buildInsert>>(db, buildInsert),

    /** The runs that have the id or the key, if the insert just before found one taken. */
    findTaken: statementFamily(
      (shape: { readonly hasKey: boolean }) => String(shape.hasKey),
      ({ hasKey }) =>
        defineFollowUp(
          db,
          (target, argument: ArgumentReference<"runId" | "workflowId" | "idempotencyKey">) => {
            const byKey = and(
              eq(runs.workflowId, argument("workflowId")),
              eq(runs.idempotencyKey, argument("idempotencyKey")),
            );
            return target
              .select(pick(runs, properties))
              .from(runs)
              .where(and(hasKey ? or(byId(argument), byKey) : byId(argument), sql`changes() = 0`));
          },
        ),
    ),

    /** The ids of the runs that have the id or the key. */
    findHolders: defineStatement(
      db,
      (target, argument: ArgumentReference<"runId" | "workflowId" | "idempotencyKey">) =>
        target
          .select({ runId: runs.runId })
          .from(runs)
          .where(
            or(
              byId(argument),
              and(
                eq(runs.workflowId, argument("workflowId")),
                eq(runs.idempotencyKey, argument("idempotencyKey")),
              ),
            ),
          ),
    ),

    get: defineRowStatement(db, (target, argument: ArgumentReference<"runId">) =>
      target.select(pick(runs, properties)).from(runs).where(byId(argument)),
    ),

    getSummary: defineRowStatement(db, (target, argument: ArgumentReference<"runId">) =>
      target
        .select(pick(runs, summaryProperties(codecs)))
        .from(runs)
        .where(byId(argument)),
    ),

    /** What says why a write changed nothing. */
    getGuard: defineFollowUp(db, (target, argument: ArgumentReference<"runId">) =>
      target.select(pick(runs, runGuardProperties)).from(runs).where(byId(argument)),
    ),

    /** Changes nothing where the run is missing or finished, or a demand is not met. */
    update: statementFamily(updateKey, (shape: RunUpdateShape) =>
      defineStatement(db, (target, argument: ArgumentReference<UpdateArgument>) =>
        target
          .update(runs)
          .set({ ...assignments(shape, argument), revision: sql`${runs.revision} + 1` })
          .where(
            and(
              eq(runs.runId, argument("whereRunId")),
              notInArray(runs.status, [...finalRunStatuses]),
              shape.fenced ? isHeld(tables, argument) : undefined,
              shape.revised ? eq(runs.revision, argument("whereRevision")) : undefined,
            ),
          ),
      ),
    ),

    /** Changes nothing where the run is missing or not to be reopened. Its deadline is `reopenedDeadline`. */
    reopen: statementFamily(updateKey, (shape: RunUpdateShape) =>
      defineStatement(db, (target, argument: ArgumentReference<UpdateArgument>) =>
        target
          .update(runs)
          .set({
            ...assignments(shape, argument),
            deadlineAt: sql`${argument("updatedAt")} + ${runs.timeoutMs}`,
            revision: sql`${runs.revision} + 1`,
          })
          .where(
            and(
              eq(runs.runId, argument("whereRunId")),
              inArray(runs.status, [...reopenableRunStatuses]),
            ),
          ),
      ),
    ),

    /** Changes nothing where the worker does not have the run RUNNING under a lease. */
    release: statementFamily(updateKey, (shape: RunUpdateShape) =>
      defineStatement(db, (target, argument: ArgumentReference<UpdateArgument>) =>
        target
          .update(runs)
          .set({ ...assignments(shape, argument), revision: sql`${runs.revision} + 1` })
          .where(isLeased(argument("whereRunId"), argument)),
      ),
    ),

    /** As `release`, and leaves everything but the lease alone: it ends at the later of both times. */
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

    delete: defineStatement(db, (target, argument: ArgumentReference<"runId">) =>
      target.delete(runs).where(byId(argument)),
    ),
  };

  function buildInsert(target: Database, argument: ArgumentReference<RunProperty>) {
    return (
      target
        .insert(runs)
        .values(argumentsFor(properties, argument))
        .onConflictDoNothing({ target: runs.runId })
        // Drizzle puts the condition of a partial index in the wrong place for `do nothing`.
        .onConflictDoUpdate({
          target: [runs.workflowId, runs.idempotencyKey],
          targetWhere: sql.raw("idempotency_key is not null"),
          set: { runId: sql`${runs.runId}` },
          setWhere: sql`0`,
        })
    );
  }

  function assignments(shape: RunUpdateShape, argument: ArgumentReference<RunProperty>) {
    const once = shape.setOnce.map(
      (name) => [name, sql`coalesce(${runs[name]}, ${argument(name)})`] as const,
    );
    return {
      ...progressResets(shape, argument),
      ...argumentsFor(shape.set, argument),
      ...Object.fromEntries(once),
    };
  }

  /** The rule of `keptLostLeases`. */
  function progressResets({ set }: RunUpdateShape, argument: ArgumentReference<RunProperty>) {
    if (!set.includes("progress")) return {};
    return {
      lostLeases: sql`case when ${argument("progress")} > ${runs.progress} then 0 else ${runs.lostLeases} end`,
    };
  }

  function isLeased(runId: SQL, fence: ArgumentReference<FenceArgument>): SQL | undefined {
    return and(eq(runs.runId, runId), isHeld(tables, fence), isNotNull(runs.leaseExpiresAt));
  }
}

function updateKey({ set, setOnce, fenced, revised }: RunUpdateShape): string {
  return `${set.join()}/${setOnce.join()}/${fenced}/${revised}`;
}
