import { and, eq, notInArray, sql } from "drizzle-orm";
import { frozenStepStatuses } from "../../../model/transitions.ts";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { StepAttempt, StepExecution, StepOutput } from "../../../schema/rows.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { isAllowed, replacement, rowIf, runExists, type FenceArgument } from "./fragments.ts";
import { pick } from "./pages.ts";
import { assignments, updateKey, type UpdateShape } from "./runs.ts";
import {
  defineFollowUp,
  defineRowStatement,
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

export type StepProperty = keyof StepExecution & string;

export interface StepUpdateShape extends UpdateShape<StepProperty> {
  readonly computeDuration: boolean;
}

type UpdateArgument = StepProperty | "whereRunId" | "whereStepId" | FenceArgument;

export function createStepStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const { workflowRuns: runs, stepExecutions: steps } = tables;
  const { properties } = codecs.steps;

  return {
    /** Inserts nothing if the run is missing or the step exists. */
    insert: defineStatement(db, (target, argument: ArgumentReference<StepProperty>) =>
      target
        .insert(steps)
        .select(
          sql`select ${sql.join([...properties.map(argument), sql`${runs.workflowId}`], sql`, `)} from ${runs} where ${eq(runs.runId, argument("runId"))}`,
        )
        .onConflictDoNothing({ target: [steps.runId, steps.stepId] }),
    ),

    /** The run, and the step if it exists. */
    findTaken: defineFollowUp(db, (target, argument: ArgumentReference<"runId" | "stepId">) =>
      target
        .select({ runId: runs.runId, stepId: steps.stepId })
        .from(runs)
        .leftJoin(steps, and(eq(steps.runId, runs.runId), eq(steps.stepId, argument("stepId"))))
        .where(eq(runs.runId, argument("runId"))),
    ),

    get: defineRowStatement(db, (target, argument: ArgumentReference<"runId" | "stepId">) =>
      target
        .select(pick(steps, properties))
        .from(steps)
        .where(and(eq(steps.runId, argument("runId")), eq(steps.stepId, argument("stepId")))),
    ),

    /** Changes nothing if the step is missing or frozen, or the fence does not hold. */
    update: statementFamily(
      (shape: StepUpdateShape) => `${updateKey(shape)}/${shape.computeDuration}`,
      (shape) =>
        defineStatement(db, (target, argument: ArgumentReference<UpdateArgument>) => {
          const changed = assignments(steps, shape, argument);
          if (shape.computeDuration) {
            // An assignment reads the row before the update, so it needs the new times. max() of a NULL is NULL.
            const startedAt = changed.startedAt ?? sql`${steps.startedAt}`;
            const completedAt = changed.completedAt ?? sql`${steps.completedAt}`;
            changed.durationMs = sql`max(0, ${completedAt} - ${startedAt})`;
          }
          // A row that an older version inserted does not have it.
          const workflowId = sql`coalesce(${steps.workflowId}, (select ${runs.workflowId} from ${runs} where ${eq(runs.runId, argument("whereRunId"))}))`;
          return target
            .update(steps)
            .set({ ...changed, workflowId })
            .where(
              and(
                eq(steps.runId, argument("whereRunId")),
                eq(steps.stepId, argument("whereStepId")),
                notInArray(steps.status, [...frozenStepStatuses]),
                isAllowed(target, tables, argument("whereRunId"), argument),
              ),
            );
        }),
    ),
  };
}

/** The saves of attempts and outputs change nothing if the run is missing, or the fence does not hold. */
export function createAttemptStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const { properties, key } = codecs.attempts;
  const set = replacement(tables.stepAttempts, properties, key);
  return {
    save: defineStatement(
      db,
      (target, argument: ArgumentReference<keyof StepAttempt | FenceArgument>) =>
        target
          .insert(tables.stepAttempts)
          .select(
            rowIf(properties.map(argument), runExists(target, tables, argument("runId"), argument)),
          )
          .onConflictDoUpdate({
            target: Object.values(pick(tables.stepAttempts, key)),
            set,
          }),
    ),
  };
}

export function createOutputStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const outputs = tables.stepOutputs;
  const { properties } = codecs.outputs;
  const set = replacement(outputs, ["output", "updatedAt"], []);
  return {
    save: defineStatement(
      db,
      (target, argument: ArgumentReference<keyof StepOutput | FenceArgument>) =>
        target
          .insert(outputs)
          .select(
            rowIf(properties.map(argument), runExists(target, tables, argument("runId"), argument)),
          )
          .onConflictDoUpdate({ target: [outputs.runId, outputs.stepId], set }),
    ),

    get: defineRowStatement(db, (target, argument: ArgumentReference<"runId" | "stepId">) =>
      target
        .select(pick(outputs, properties))
        .from(outputs)
        .where(and(eq(outputs.runId, argument("runId")), eq(outputs.stepId, argument("stepId")))),
    ),
  };
}
