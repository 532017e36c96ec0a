import { and, eq, exists, gt, sql } from "drizzle-orm";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowState } from "../../../schema/rows.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { isHeld, pick, rowIf, runExists, type FenceArgument } from "./fragments.ts";
import { runGuardProperties } from "./runs.ts";
import {
  defineRowStatement,
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

export type StateProperty = keyof WorkflowState & string;

/** What a save demands: nothing, that the key is new, or that it is at a revision. */
export interface StateSaveShape {
  readonly demand: "any" | "absent" | "revision";
  readonly fenced: boolean;
}

type SaveArgument = StateProperty | FenceArgument | "whereRevision";

export function createStateStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const state = tables.workflowState;
  const runs = tables.workflowRuns;
  const { properties } = codecs.state;
  const byKey = (argument: ArgumentReference<"runId" | "key">) =>
    and(eq(state.runId, argument("runId")), eq(state.key, argument("key")));

  return {
    /** Saves nothing where the run is missing, the worker does not hold it, or the demand is not met. */
    save: statementFamily(
      ({ demand, fenced }: StateSaveShape) => `${demand}/${fenced}`,
      ({ demand, fenced }) =>
        defineStatement(db, (target, argument: ArgumentReference<SaveArgument>) => {
          const mayWrite = runExists(target, tables, argument("runId"), fenced ? argument : null);
          const replacement = {
            value: argument("value"),
            revision: sql`${state.revision} + 1`,
            updatedAt: argument("updatedAt"),
          };
          // A key that was deleted does not start again at a revision that it has had.
          const lastRevision = target
            .select({ revision: runs.stateRevision })
            .from(runs)
            .where(eq(runs.runId, argument("runId")));
          if (demand === "revision") {
            return target
              .update(state)
              .set(replacement)
              .where(and(byKey(argument), eq(state.revision, argument("whereRevision")), mayWrite));
          }
          const insert = target.insert(state).select(
            rowIf(
              properties.map((name) =>
                name === "revision" ? sql`${lastRevision} + ${argument(name)}` : argument(name),
              ),
              mayWrite,
            ),
          );
          return demand === "absent"
            ? insert.onConflictDoNothing({ target: [state.runId, state.key] })
            : insert.onConflictDoUpdate({ target: [state.runId, state.key], set: replacement });
        }),
    ),

    /** The key's revision and the columns of the run that decide a fence, for a run that exists. */
    getGuard: defineStatement(db, (target, argument: ArgumentReference<"runId" | "key">) =>
      target
        .select({ keyRevision: state.revision, ...pick(runs, runGuardProperties) })
        .from(runs)
        .leftJoin(state, and(eq(state.runId, runs.runId), eq(state.key, argument("key"))))
        .where(eq(runs.runId, argument("runId"))),
    ),

    get: defineRowStatement(db, (target, argument: ArgumentReference<"runId" | "key">) =>
      target.select(pick(state, properties)).from(state).where(byKey(argument)),
    ),

    /** Raises the run's `stateRevision` to that of the key, which is deleted next. */
    noteDeletion: statementFamily(
      (shape: { readonly fenced: boolean }) => String(shape.fenced),
      ({ fenced }) =>
        defineStatement(
          db,
          (target, argument: ArgumentReference<"runId" | "key" | FenceArgument>) => {
            const deleted = target
              .select({ revision: state.revision })
              .from(state)
              .where(and(byKey(argument), gt(state.revision, runs.stateRevision)));
            return target
              .update(runs)
              .set({ stateRevision: sql`${deleted}` })
              .where(
                and(
                  eq(runs.runId, argument("runId")),
                  exists(deleted),
                  fenced ? isHeld(tables, argument) : undefined,
                ),
              );
          },
        ),
    ),

    delete: statementFamily(
      (shape: { readonly fenced: boolean }) => String(shape.fenced),
      ({ fenced }) =>
        defineStatement(
          db,
          (target, argument: ArgumentReference<"runId" | "key" | FenceArgument>) =>
            target
              .delete(state)
              .where(
                and(
                  byKey(argument),
                  fenced ? runExists(target, tables, argument("runId"), argument) : undefined,
                ),
              ),
        ),
    ),
  };
}
