import { and, eq, exists, gt, sql } from "drizzle-orm";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowState } from "../../../schema/rows.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { isAllowed, isHeld, rowIf, runExists, type FenceArgument } from "./fragments.ts";
import { opaque, pick } from "./pages.ts";
import { runGuardProperties } from "./runs.ts";
import {
  defineRowStatement,
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

/** The revision that a save requires: any, that the key does not exist, or the given one. */
export type StateDemand = "any" | "absent" | "revision";

type SaveArgument = keyof WorkflowState | FenceArgument | "whereRevision";
type DeleteArgument = "runId" | "key" | FenceArgument;

export function createStateStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const state = tables.workflowState;
  const runs = tables.workflowRuns;
  const { properties } = codecs.state;
  const byKey = (argument: ArgumentReference<"runId" | "key">) =>
    and(eq(state.runId, argument("runId")), eq(state.key, argument("key")));

  return {
    /** Changes nothing if the run is missing, the fence does not hold, or the revision differs. */
    save: statementFamily(String, (demand: StateDemand) =>
      defineStatement(db, (target, argument: ArgumentReference<SaveArgument>) => {
        const mayWrite = runExists(target, tables, argument("runId"), argument);
        const replacement = {
          value: argument("value"),
          revision: sql`${state.revision} + 1`,
          updatedAt: argument("updatedAt"),
        };
        if (demand === "revision") {
          return target
            .update(state)
            .set(replacement)
            .where(and(byKey(argument), eq(state.revision, argument("whereRevision")), mayWrite));
        }
        // The revisions of a deleted key are not used again.
        const lastRevision = target
          .select({ revision: runs.stateRevision })
          .from(runs)
          .where(eq(runs.runId, argument("runId")));
        const row = properties.map((name) =>
          name === "revision" ? sql`${lastRevision} + ${argument(name)}` : argument(name),
        );
        const insert = target.insert(state).select(rowIf(row, mayWrite));
        return demand === "absent"
          ? insert.onConflictDoNothing({ target: [state.runId, state.key] })
          : insert.onConflictDoUpdate({ target: [state.runId, state.key], set: replacement });
      }),
    ),

    /** The key's revision, and the run's columns that explain why a write changed nothing. No row without the run. */
    getGuard: defineRowStatement(db, (target, argument: ArgumentReference<"runId" | "key">) =>
      target
        .select({
          keyRevision: sql`${state.revision}`.as("key_revision"),
          ...pick(runs, runGuardProperties),
        })
        .from(runs)
        .leftJoin(state, and(eq(state.runId, runs.runId), eq(state.key, argument("key"))))
        .where(eq(runs.runId, opaque(argument("runId")))),
    ),

    get: defineRowStatement(db, (target, argument: ArgumentReference<"runId" | "key">) =>
      target.select(pick(state, properties)).from(state).where(byKey(argument)),
    ),

    /** Raises the run's `stateRevision` to the revision of the key, which the next statement deletes. */
    noteDeletion: defineStatement(db, (target, argument: ArgumentReference<DeleteArgument>) => {
      const deleted = target
        .select({ revision: state.revision })
        .from(state)
        .where(and(byKey(argument), gt(state.revision, runs.stateRevision)));
      return target
        .update(runs)
        .set({ stateRevision: sql`${deleted}` })
        .where(and(eq(runs.runId, argument("runId")), exists(deleted), isHeld(tables, argument)));
    }),

    delete: defineStatement(db, (target, argument: ArgumentReference<DeleteArgument>) =>
      target
        .delete(state)
        .where(and(byKey(argument), isAllowed(target, tables, argument("runId"), argument))),
    ),
  };
}
