import type { Many, One } from "drizzle-orm";
import type { TableRelations } from "../drizzle-types.ts";
import { relations } from "../drizzle.ts";
import { UnsupportedError } from "../errors.ts";
import { tables, type WorkflowTables } from "./tables.ts";

/** The result of `createWorkflowRelations`. */
export type WorkflowRelations<Prefix extends string> = {
  workflowRunsRelations: TableRelations<
    `${Prefix}workflow_runs`,
    {
      steps: Many<`${Prefix}step_executions`>;
      attempts: Many<`${Prefix}step_attempts`>;
      outputs: Many<`${Prefix}step_outputs`>;
      state: Many<`${Prefix}workflow_state`>;
    }
  >;
  stepExecutionsRelations: TableRelations<
    `${Prefix}step_executions`,
    { run: One<`${Prefix}workflow_runs`, true>; attempts: Many<`${Prefix}step_attempts`> }
  >;
  stepAttemptsRelations: TableRelations<
    `${Prefix}step_attempts`,
    { run: One<`${Prefix}workflow_runs`, true>; step: One<`${Prefix}step_executions`, true> }
  >;
  stepOutputsRelations: TableRelations<
    `${Prefix}step_outputs`,
    { run: One<`${Prefix}workflow_runs`, true> }
  >;
  workflowStateRelations: TableRelations<
    `${Prefix}workflow_state`,
    { run: One<`${Prefix}workflow_runs`, true> }
  >;
};

/**
 * Returns the relations between tables of `createWorkflowTables`, for an app's own schema on Drizzle 0.45.
 *
 * @throws {UnsupportedError} on Drizzle 1.0, which has other relations. See `gorkflow/relations`.
 */
export function createWorkflowRelations<Prefix extends string>({
  workflowRuns: runs,
  stepExecutions: steps,
  stepAttempts: attempts,
  stepOutputs: outputs,
  workflowState: state,
}: WorkflowTables<Prefix>): WorkflowRelations<Prefix> {
  if (relations === null) {
    throw new UnsupportedError({
      feature: "createWorkflowRelations",
      reason:
        "Drizzle 1.0 cannot query them: use createWorkflowRelationsPart of gorkflow/relations",
    });
  }
  return {
    workflowRunsRelations: relations(runs, ({ many }) => ({
      steps: many(steps),
      attempts: many(attempts),
      outputs: many(outputs),
      state: many(state),
    })),
    stepExecutionsRelations: relations(steps, ({ one, many }) => ({
      run: one(runs, { fields: [steps.runId], references: [runs.runId] }),
      attempts: many(attempts),
    })),
    stepAttemptsRelations: relations(attempts, ({ one }) => ({
      run: one(runs, { fields: [attempts.runId], references: [runs.runId] }),
      step: one(steps, {
        fields: [attempts.runId, attempts.stepId],
        references: [steps.runId, steps.stepId],
      }),
    })),
    stepOutputsRelations: relations(outputs, ({ one }) => ({
      run: one(runs, { fields: [outputs.runId], references: [runs.runId] }),
    })),
    workflowStateRelations: relations(state, ({ one }) => ({
      run: one(runs, { fields: [state.runId], references: [runs.runId] }),
    })),
  };
}

/** The relations between the tables without a prefix. Undefined on Drizzle 1.0. */
export const plainRelations = (
  relations === null ? {} : createWorkflowRelations<"">(tables)
) as WorkflowRelations<"">;

export const {
  workflowRunsRelations,
  stepExecutionsRelations,
  stepAttemptsRelations,
  stepOutputsRelations,
  workflowStateRelations,
} = plainRelations;
