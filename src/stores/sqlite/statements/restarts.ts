import { and, count, eq, exists, inArray, ne, sql, type SQL, type SQLWrapper } from "drizzle-orm";
import { planRestart } from "../../../model/changes.ts";
import {
  finalRunStatuses,
  openStepStatuses,
  reopenableRunStatuses,
} from "../../../model/transitions.ts";
import { rowCodecs } from "../../../schema/row-codecs.ts";
import type { StepAttempt } from "../../../schema/rows.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import type { RunStatus } from "../../../statuses.ts";
import { argumentsFor, rowValue, selectOne } from "./fragments.ts";
import { failIf } from "./guards.ts";
import { isAtRevision, type RunProperty } from "./runs.ts";
import { defineStatement, type ArgumentReference, type Database } from "./statement.ts";

type StepArgument = "runId" | "stepId";
type CancelArgument = "runId" | "whereRevision" | "now";

/** The columns that a restart sets to given values. */
const properties = Object.keys(planRestart(new Date(0))) as RunProperty[];

/** The columns of a step that it gets again as if it were new. */
const resetProperties = rowCodecs.steps.properties.filter(
  (name) => name !== "runId" && name !== "stepId" && name !== "executionIndex",
);

/** The statements that reopen a run with its steps. Those of a restart are in the order in which they are executed. */
export function createRestartStatements(db: Database, tables: WorkflowTables) {
  const { workflowRuns: runs, stepExecutions: steps, stepAttempts, stepOutputs } = tables;
  const place = rowValue([steps.executionIndex, steps.stepId]);
  const isStep = (argument: ArgumentReference<StepArgument>) =>
    and(eq(steps.runId, argument("runId")), eq(steps.stepId, argument("stepId")));

  /** The steps of the run whose place compares in that way with the place of the step. */
  function at(target: Database, comparison: SQL, argument: ArgumentReference<StepArgument>) {
    const given = target
      .select({ executionIndex: steps.executionIndex, stepId: steps.stepId })
      .from(steps)
      .where(isStep(argument));
    return and(eq(steps.runId, argument("runId")), sql`${place} ${comparison} (${given})`);
  }

  /** The rows of the table that belong to the step or one after it. */
  function dropped(
    target: Database,
    table: typeof stepAttempts | typeof stepOutputs,
    argument: ArgumentReference<StepArgument>,
  ) {
    const ids = target
      .select({ stepId: steps.stepId })
      .from(steps)
      .where(at(target, sql`>=`, argument));
    return and(eq(table.runId, argument("runId")), inArray(table.stepId, ids));
  }

  const later = (target: Database, argument: ArgumentReference<StepArgument>) =>
    and(at(target, sql`>=`, argument), ne(steps.stepId, argument("stepId")));

  /** Cancel the open steps of a run and their running attempts if the run has one of the statuses, and the revision. */
  function cancelOpen(statuses: readonly RunStatus[]) {
    const isOpen = (target: Database, argument: ArgumentReference<CancelArgument>) => {
      const isEnded = and(
        eq(runs.runId, argument("runId")),
        inArray(runs.status, [...statuses]),
        isAtRevision(tables, argument),
      );
      return and(
        eq(steps.runId, argument("runId")),
        inArray(steps.status, openStepStatuses),
        exists(selectOne(target, runs, isEnded)),
      );
    };
    return {
      attempts: defineStatement(db, (target, argument: ArgumentReference<CancelArgument>) => {
        const cells: Record<keyof StepAttempt, SQLWrapper> = {
          runId: steps.runId,
          stepId: steps.stepId,
          attempt: steps.attempt,
          status: sql`'CANCELLED'`,
          error: sql`null`,
          workerId: sql`null`,
          startedAt: sql`case ${steps.attempt} when ${steps.attemptOffset} + 1 then ${steps.startedAt} end`,
          completedAt: argument("now"),
        };
        const row = rowCodecs.attempts.properties.map((name) => cells[name]);
        const isRunning = and(isOpen(target, argument), eq(steps.status, "RUNNING"));
        return target
          .insert(stepAttempts)
          .select(sql`select ${sql.join(row, sql`, `)} from ${steps} where ${isRunning}`)
          .onConflictDoNothing();
      }),

      steps: defineStatement(db, (target, argument: ArgumentReference<CancelArgument>) =>
        target
          .update(steps)
          .set({
            status: "CANCELLED",
            wakeAt: null,
            completedAt: argument("now"),
            updatedAt: argument("now"),
            durationMs: sql`max(0, ${argument("now")} - ${steps.startedAt})`,
          })
          .where(isOpen(target, argument)),
      ),
    };
  }

  return {
    cancelReopened: cancelOpen(reopenableRunStatuses),
    cancelRestarted: cancelOpen(finalRunStatuses),

    /** Changes nothing if the run is missing or has not ended, or the step is missing. Follows `keptProgress`. */
    reopen: defineStatement(
      db,
      (target, argument: ArgumentReference<RunProperty | StepArgument | "whereRevision">) => {
        const countOf = (condition: SQL | undefined) =>
          sql`(${target.select({ count: count() }).from(steps).where(condition)})`;
        const kept = countOf(at(target, sql`<`, argument));
        const all = countOf(eq(steps.runId, argument("runId")));
        return target
          .update(runs)
          .set({
            ...argumentsFor(properties, argument),
            deadlineAt: sql`${argument("updatedAt")} + ${runs.timeoutMs}`,
            progress: sql`${runs.progress} * ${kept} / ${all}`,
            revision: sql`${runs.revision} + 1`,
          })
          .where(
            and(
              eq(runs.runId, argument("runId")),
              inArray(runs.status, [...finalRunStatuses]),
              isAtRevision(tables, argument),
              exists(selectOne(target, steps, isStep(argument))),
            ),
          );
      },
    ),

    deleteAttempts: defineStatement(db, (target, argument: ArgumentReference<StepArgument>) =>
      target.delete(stepAttempts).where(dropped(target, stepAttempts, argument)),
    ),

    deleteOutputs: defineStatement(db, (target, argument: ArgumentReference<StepArgument>) =>
      target.delete(stepOutputs).where(dropped(target, stepOutputs, argument)),
    ),

    deleteLaterSteps: defineStatement(db, (target, argument: ArgumentReference<StepArgument>) =>
      target.delete(steps).where(later(target, argument)),
    ),

    /** Fails if a trigger has left out one of these deletions. */
    laterGone: defineStatement(db, (target, argument: ArgumentReference<StepArgument>) => {
      const left = [
        selectOne(target, steps, later(target, argument)),
        selectOne(target, stepAttempts, dropped(target, stepAttempts, argument)),
        selectOne(target, stepOutputs, dropped(target, stepOutputs, argument)),
      ].map((rows) => exists(rows));
      return failIf(target, sql.join(left, sql` or `));
    }),

    resetStep: defineStatement(
      db,
      (target, argument: ArgumentReference<(typeof resetProperties)[number] | StepArgument>) =>
        target.update(steps).set(argumentsFor(resetProperties, argument)).where(isStep(argument)),
    ),
  };
}
