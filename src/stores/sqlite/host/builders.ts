import type { RunChanges, StepExecutionChanges } from "../../../model/changes.ts";
import type { NewStepAttempt, NewStepExecution, NewWorkflowRun } from "../../../schema/rows.ts";
import { createAttemptPlans } from "../operations/attempts.ts";
import { createOutputPlans } from "../operations/outputs.ts";
import { createRunPlans } from "../operations/runs.ts";
import { createStatePlans } from "../operations/state.ts";
import type { Builder, Database } from "../statements/statement.ts";
import { createStepPlans } from "../operations/steps.ts";
import type { PlannedWrite, StoreContext } from "../operations/context.ts";

/**
 * The store's writes as Drizzle builders.
 *
 * Each changes nothing, and does not fail, when its precondition does not hold. `guard()` right behind one
 * makes the app's batch fail, and so undo itself, in that case.
 */
export interface StatementBuilders {
  createRun(run: Readonly<NewWorkflowRun>): Builder;
  updateRun(
    runId: string,
    changes: RunChanges,
    options?: {
      readonly expectedRevision?: number;
      readonly workerId?: string;
      readonly attempt?: number;
    },
  ): Builder;
  deleteRun(runId: string): Builder;
  createStepExecution(step: Readonly<NewStepExecution>): Builder;
  updateStepExecution(
    runId: string,
    stepId: string,
    changes: StepExecutionChanges,
    options?: { readonly workerId?: string; readonly attempt?: number },
  ): Builder;
  saveStepAttempt(
    attempt: Readonly<NewStepAttempt>,
    options?: { readonly workerId?: string; readonly attempt?: number },
  ): Builder;
  saveStepOutput(
    runId: string,
    stepId: string,
    output: unknown,
    options?: { readonly workerId?: string; readonly attempt?: number },
  ): Builder;
  saveState(
    runId: string,
    key: string,
    value: unknown,
    options?: {
      readonly expectedRevision?: number;
      readonly workerId?: string;
      readonly attempt?: number;
    },
  ): Builder;
  /** A key that is saved again after it begins at revision 1, unlike one that `store.deleteState` has deleted. */
  deleteState(
    runId: string,
    key: string,
    options?: { readonly workerId?: string; readonly attempt?: number },
  ): Builder;
  /** Fails when the statement before it changed nothing. */
  guard(): Builder;
}

export function createBuilders(context: StoreContext, db: Database): StatementBuilders {
  const build =
    <Args extends unknown[]>(plan: (...args: Args) => PlannedWrite<unknown>) =>
    (...args: Args): Builder =>
      plan(...args).write.build(db);
  const runs = createRunPlans(context);
  const steps = createStepPlans(context);
  const state = createStatePlans(context);
  return {
    createRun: build(runs.createRun),
    updateRun: build(runs.updateRun),
    deleteRun: build(runs.deleteRun),
    createStepExecution: build(steps.createStepExecution),
    updateStepExecution: build(steps.updateStepExecution),
    saveStepAttempt: build(createAttemptPlans(context).saveStepAttempt),
    saveStepOutput: build(createOutputPlans(context).saveStepOutput),
    saveState: build(state.saveState),
    deleteState: build(state.deleteState),
    guard: () => context.statements.guards.changed.bind({}).build(db),
  };
}
