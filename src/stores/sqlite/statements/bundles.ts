import {
  and,
  eq,
  exists,
  gt,
  inArray,
  ne,
  notExists,
  notInArray,
  or,
  sql,
  type SQL,
} from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { RunBundle } from "../../../model/bundles.ts";
import { frozenStepStatuses, isFrozenStepStatus } from "../../../model/transitions.ts";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import type { Cell } from "../../../schema/row-codec.ts";
import type { AttemptProperty } from "./attempts.ts";
import { argumentsFor, listOf, replacement, rowIf } from "./fragments.ts";
import type { OutputProperty } from "./outputs.ts";
import type { RunProperty } from "./runs.ts";
import type { StateProperty } from "./state.ts";
import {
  defineRowStatement,
  defineStatement,
  type ArgumentReference,
  type Builder,
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

    newer: defineRowStatement(db, (target, argument: ArgumentReference<NewerArgument>) =>
      newerRun(target, tables, argument),
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
              sql`(${attempts.stepId}, ${attempts.attempt}) not in ${pairs(argument("keys"))}`,
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

/** The rows of a JSON list of pairs. */
const pairs = (list: SQL) => sql`(select value ->> 0, value ->> 1 from json_each(${list}))`;

/** The rows of the run whose key is not in `keys`. */
function isOther(
  runId: SQLiteColumn,
  key: SQLiteColumn,
  argument: ArgumentReference<"runId" | "keys">,
): SQL | undefined {
  return and(eq(runId, argument("runId")), notInArray(key, listOf(argument("keys"))));
}

export type NewerArgument =
  | "runId"
  | "createdAt"
  | "revision"
  | "stateRevision"
  | "steps"
  | "endedSteps"
  | "attempts"
  | "outputs"
  | "state";

const ids = (rows: readonly { readonly stepId: string }[]) =>
  JSON.stringify(rows.map(({ stepId }) => stepId));

/** The arguments of `newerRun` for a bundle. `run` is encoded. */
export function newerArguments(
  { steps, attempts, outputs, state }: RunBundle,
  run: Readonly<Record<"runId" | "createdAt" | "revision" | "stateRevision", Cell>>,
): Record<NewerArgument, Cell> {
  const { runId, createdAt, revision, stateRevision } = run;
  return {
    runId,
    createdAt,
    revision,
    stateRevision,
    steps: ids(steps),
    endedSteps: ids(steps.filter(({ status }) => isFrozenStepStatus(status))),
    attempts: JSON.stringify(attempts.map(({ stepId, attempt }) => [stepId, attempt])),
    outputs: ids(outputs),
    state: JSON.stringify(state.map((entry) => [entry.key, entry.revision])),
  };
}

/** One row if the run exists and is newer than a bundle: the rule of `isNewerBundle` in SQL. */
export function newerRun(
  target: Pick<Database, "select">,
  {
    workflowRuns: runs,
    stepExecutions: steps,
    stepAttempts: attempts,
    stepOutputs: outputs,
    workflowState: state,
  }: WorkflowTables,
  argument: ArgumentReference<NewerArgument>,
): Builder {
  const any = (
    table: typeof steps | typeof attempts | typeof outputs | typeof state,
    condition: SQL | undefined,
  ) =>
    exists(
      target
        .select({ one: sql`1` })
        .from(table)
        .where(and(eq(table.runId, argument("runId")), condition)),
    );
  const stateBefore = sql`(select value ->> 1 from json_each(${argument("state")}) where value ->> 0 = ${state.key})`;
  return target
    .select({ one: sql`1` })
    .from(runs)
    .where(
      and(
        eq(runs.runId, argument("runId")),
        eq(runs.createdAt, argument("createdAt")),
        or(
          gt(runs.revision, argument("revision")),
          and(
            eq(runs.revision, argument("revision")),
            or(
              gt(runs.stateRevision, argument("stateRevision")),
              any(steps, notInArray(steps.stepId, listOf(argument("steps")))),
              any(
                steps,
                and(
                  inArray(steps.status, frozenStepStatuses),
                  notInArray(steps.stepId, listOf(argument("endedSteps"))),
                ),
              ),
              any(
                attempts,
                sql`(${attempts.stepId}, ${attempts.attempt}) not in ${pairs(argument("attempts"))}`,
              ),
              any(outputs, notInArray(outputs.stepId, listOf(argument("outputs")))),
              any(
                state,
                // The first condition finds most rows equal without a search in the list.
                sql`(${state.key}, ${state.revision}) not in ${pairs(argument("state"))} and ${state.revision} > coalesce(${stateBefore}, ${argument("stateRevision")})`,
              ),
            ),
          ),
        ),
      ),
    );
}
