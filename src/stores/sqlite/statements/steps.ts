import { and, eq, notInArray, sql, type SQL } from "drizzle-orm";
import { frozenStepStatuses } from "../../../model/transitions.ts";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { StepExecution } from "../../../schema/rows.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { argumentsFor, pick, rowIf, runExists, type FenceArgument } from "./fragments.ts";
import {
  defineFollowUp,
  defineRowStatement,
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

export type StepProperty = keyof StepExecution & string;

export interface StepUpdateShape {
  readonly set: readonly StepProperty[];
  readonly setOnce: readonly StepProperty[];
  readonly computeDuration: boolean;
  readonly fenced: boolean;
}

type UpdateArgument = StepProperty | "whereRunId" | "whereStepId" | FenceArgument;

export function createStepStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const { workflowRuns: runs, stepExecutions: steps } = tables;
  const { properties } = codecs.step;

  return {
    /** Inserts nothing where the run is missing or the step is there. */
    insert: defineStatement(db, (target, argument: ArgumentReference<StepProperty>) =>
      target
        .insert(steps)
        .select(rowIf(properties.map(argument), runExists(target, tables, argument("runId"), null)))
        .onConflictDoNothing({ target: [steps.runId, steps.stepId] }),
    ),

    /** The run of the insert just before, and the step if that found it taken. */
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

    /** Changes nothing where the step is missing or frozen, or the worker does not hold the run. */
    update: statementFamily(updateKey, (shape: StepUpdateShape) =>
      defineStatement(db, (target, argument: ArgumentReference<UpdateArgument>) =>
        target
          .update(steps)
          .set(assignments(shape, argument))
          .where(
            and(
              eq(steps.runId, argument("whereRunId")),
              eq(steps.stepId, argument("whereStepId")),
              notInArray(steps.status, [...frozenStepStatuses]),
              shape.fenced
                ? runExists(target, tables, argument("whereRunId"), argument)
                : undefined,
            ),
          ),
      ),
    ),
  };

  function assignments(shape: StepUpdateShape, argument: ArgumentReference<StepProperty>) {
    const once = shape.setOnce.map(
      (name) => [name, sql`coalesce(${steps[name]}, ${argument(name)})`] as const,
    );
    const changed: Partial<Record<StepProperty, SQL>> = {
      ...argumentsFor(shape.set, argument),
      ...Object.fromEntries(once),
    };
    if (!shape.computeDuration) return changed;
    // An assignment sees the row as it was: the new times are spelled out. max() of a NULL is NULL.
    const startedAt = changed.startedAt ?? sql`${steps.startedAt}`;
    const completedAt = changed.completedAt ?? sql`${steps.completedAt}`;
    return { ...changed, durationMs: sql`max(0, ${completedAt} - ${startedAt})` };
  }
}

function updateKey({ set, setOnce, computeDuration, fenced }: StepUpdateShape): string {
  return `${set.join()}/${setOnce.join()}/${computeDuration}/${fenced}`;
}
