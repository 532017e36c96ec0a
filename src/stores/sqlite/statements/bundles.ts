import { and, eq, ne, notExists, notInArray, sql, type SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import type { AttemptProperty } from "./attempts.ts";
import { argumentsFor, listOf, replacement, rowIf } from "./fragments.ts";
import type { OutputProperty } from "./outputs.ts";
import type { RunProperty } from "./runs.ts";
import type { StateProperty } from "./state.ts";
import {
  defineRowStatement,
  defineStatement,
  type ArgumentReference,
  type Database,
} from "./statement.ts";
import type { StepProperty } from "./steps.ts";

export function createBundleStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const {
    workflowRuns: runs,
    stepExecutions: steps,
    stepAttempts: attempts,
    stepOutputs: outputs,
    workflowState: state,
  } = tables;
  return {
    /** One row if the run exists. */
    exists: defineRowStatement(db, (target, argument: ArgumentReference<"runId">) =>
      target
        .select({ one: sql`1` })
        .from(runs)
        .where(eq(runs.runId, argument("runId"))),
    ),

    /**
     * Writes the run over the one with its id, in place: rows of an app that refer to it stay. Changes nothing if
     * another run has its idempotency key.
     */
    putRun: defineStatement(db, (target, argument: ArgumentReference<RunProperty>) => {
      const { properties } = codecs.run;
      const holder = target
        .select({ one: sql`1` })
        .from(runs)
        .where(
          and(
            eq(runs.workflowId, argument("workflowId")),
            eq(runs.idempotencyKey, argument("idempotencyKey")),
            ne(runs.runId, argument("runId")),
          ),
        );
      return target
        .insert(runs)
        .select(rowIf(properties.map(argument), notExists(holder)))
        .onConflictDoUpdate({
          target: runs.runId,
          set: replacement(runs, properties, ["runId"]),
        });
    }),

    /** Each writes a row over the one with its key, in place. */
    put: {
      step: defineStatement(db, (target, argument: ArgumentReference<StepProperty>) =>
        target
          .insert(steps)
          .values(argumentsFor(codecs.step.properties, argument))
          .onConflictDoUpdate({
            target: [steps.runId, steps.stepId],
            set: replacement(steps, codecs.step.properties, ["runId", "stepId"]),
          }),
      ),
      attempt: defineStatement(db, (target, argument: ArgumentReference<AttemptProperty>) =>
        target
          .insert(attempts)
          .values(argumentsFor(codecs.attempt.properties, argument))
          .onConflictDoUpdate({
            target: [attempts.runId, attempts.stepId, attempts.attempt],
            set: replacement(attempts, codecs.attempt.properties, ["runId", "stepId", "attempt"]),
          }),
      ),
      output: defineStatement(db, (target, argument: ArgumentReference<OutputProperty>) =>
        target
          .insert(outputs)
          .values(argumentsFor(codecs.output.properties, argument))
          .onConflictDoUpdate({
            target: [outputs.runId, outputs.stepId],
            set: replacement(outputs, codecs.output.properties, ["runId", "stepId"]),
          }),
      ),
      state: defineStatement(db, (target, argument: ArgumentReference<StateProperty>) =>
        target
          .insert(state)
          .values(argumentsFor(codecs.state.properties, argument))
          .onConflictDoUpdate({
            target: [state.runId, state.key],
            set: replacement(state, codecs.state.properties, ["runId", "key"]),
          }),
      ),
    },

    /** Each deletes the run's rows whose key is not in `keys`. */
    deleteOthers: {
      steps: defineStatement(db, (target, argument: ArgumentReference<"runId" | "keys">) =>
        target.delete(steps).where(isOther(steps.runId, steps.stepId, argument)),
      ),
      attempts: defineStatement(db, (target, argument: ArgumentReference<"runId" | "keys">) =>
        target
          .delete(attempts)
          .where(
            and(
              eq(attempts.runId, argument("runId")),
              sql`(${attempts.stepId}, ${attempts.attempt}) not in (select value ->> 0, value ->> 1 from json_each(${argument("keys")}))`,
            ),
          ),
      ),
      outputs: defineStatement(db, (target, argument: ArgumentReference<"runId" | "keys">) =>
        target.delete(outputs).where(isOther(outputs.runId, outputs.stepId, argument)),
      ),
      state: defineStatement(db, (target, argument: ArgumentReference<"runId" | "keys">) =>
        target.delete(state).where(isOther(state.runId, state.key, argument)),
      ),
    },
  };
}

/** The rows of the run whose key is not in `keys`. */
function isOther(
  runId: SQLiteColumn,
  key: SQLiteColumn,
  argument: ArgumentReference<"runId" | "keys">,
): SQL | undefined {
  return and(eq(runId, argument("runId")), notInArray(key, listOf(argument("keys"))));
}
