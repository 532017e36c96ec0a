import { and, eq, inArray, ne, notExists, notInArray, sql, sum } from "drizzle-orm";
import { unionAll } from "drizzle-orm/sqlite-core";
import type { RowCodecs } from "../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../schema/tables.ts";
import type { AttemptProperty } from "./attempt-statements.ts";
import { createChildReaders } from "./child-statements.ts";
import { argumentsFor, jsonBytes, listOf, replacement, rowIf } from "./fragments.ts";
import type { OutputProperty } from "./output-statements.ts";
import type { RunProperty } from "./run-statements.ts";
import type { StateProperty } from "./state-statements.ts";
import {
  defineRowStatement,
  defineStatement,
  type ArgumentReference,
  type Database,
} from "./statement.ts";
import type { StepProperty } from "./step-statements.ts";

export function createBundleStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const {
    workflowRuns: runs,
    stepExecutions: steps,
    stepAttempts: attempts,
    stepOutputs: outputs,
    workflowState: state,
  } = tables;
  return {
    children: createChildReaders(db, tables, codecs),

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
        target
          .delete(steps)
          .where(
            and(
              eq(steps.runId, argument("runId")),
              notInArray(steps.stepId, listOf(argument("keys"))),
            ),
          ),
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
        target
          .delete(outputs)
          .where(
            and(
              eq(outputs.runId, argument("runId")),
              notInArray(outputs.stepId, listOf(argument("keys"))),
            ),
          ),
      ),
      state: defineStatement(db, (target, argument: ArgumentReference<"runId" | "keys">) =>
        target
          .delete(state)
          .where(
            and(
              eq(state.runId, argument("runId")),
              notInArray(state.key, listOf(argument("keys"))),
            ),
          ),
      ),
    },

    /** Run id and the bytes of JSON of the run and all its children. */
    sizes: defineStatement(db, (target, argument: ArgumentReference<"runIds">) => {
      const ids = listOf(argument("runIds"));
      const parts = unionAll(
        target
          .select({
            runId: runs.runId,
            bytes: jsonBytes([runs.input, runs.output, runs.error, runs.context, runs.tags]).as(
              "bytes",
            ),
          })
          .from(runs)
          .where(inArray(runs.runId, ids)),
        target
          .select({ runId: steps.runId, bytes: jsonBytes([steps.input, steps.error]).as("bytes") })
          .from(steps)
          .where(inArray(steps.runId, ids)),
        target
          .select({ runId: attempts.runId, bytes: jsonBytes([attempts.error]).as("bytes") })
          .from(attempts)
          .where(inArray(attempts.runId, ids)),
        target
          .select({ runId: outputs.runId, bytes: jsonBytes([outputs.output]).as("bytes") })
          .from(outputs)
          .where(inArray(outputs.runId, ids)),
        target
          .select({ runId: state.runId, bytes: jsonBytes([state.value]).as("bytes") })
          .from(state)
          .where(inArray(state.runId, ids)),
      ).as("parts");
      return target
        .select({ runId: parts.runId, bytes: sum(parts.bytes).mapWith(Number).as("total") })
        .from(parts)
        .groupBy(parts.runId);
    }),
  };
}
