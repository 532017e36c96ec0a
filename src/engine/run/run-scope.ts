import { InvalidArgumentError } from "../../errors.ts";
import type { Fence } from "../../model/transitions.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { Clock } from "../../store/clock.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import type { StepDefinition } from "../definition/define-step.ts";
import type { BoundLogger } from "../observe/logger.ts";
import type { StopSignal } from "../../async/abort.ts";
import type { RunJournal } from "./run-journal.ts";
import type { RunReports } from "../observe/run-observer.ts";
import { createStateReader } from "./step-state.ts";
import type { Workflow } from "../definition/workflow-builder.ts";
import type { ConditionContext } from "../definition/workflow-plan.ts";

/** What the parts of the execution of one run share. */
export interface RunScope {
  readonly store: WorkflowStore;
  readonly workflow: Workflow;
  readonly run: WorkflowRunSummary;
  /** What each write of the run names: it takes place only while the worker holds the run. */
  readonly fence: Fence;
  readonly logger: BoundLogger;
  readonly reports: RunReports;
  readonly clock: Clock;
  readonly journal: RunJournal;
  /** Stops the run here, as a write of it was refused. */
  readonly lose: (error: Error) => void;
  /** Aborts when the run stops here; the reason says why. */
  readonly signal: StopSignal;
  /** Aborts when no further step should begin here. */
  readonly drainSignal: StopSignal;
}

/**
 * Reads the output of a step of the run's workflow through `store`.
 *
 * @throws {InvalidArgumentError} for a step of another workflow. {StepOutputNotFoundError}
 */
export async function readOutput(
  { workflow, run }: Pick<RunScope, "workflow" | "run">,
  store: WorkflowStore,
  stepId: string,
): Promise<unknown> {
  if (!workflow.plan.stepIds.has(stepId)) {
    throw new InvalidArgumentError({
      argument: "step",
      reason: `${stepId} is not a step of workflow ${workflow.id}`,
    });
  }
  return store.loadStepOutput(run.runId, stepId);
}

/** What the condition of a step sees. */
export function createConditionContext(
  scope: Pick<RunScope, "workflow" | "run" | "store">,
  stepId: string,
): ConditionContext {
  const { store, run } = scope;
  const { runId } = run;
  return {
    runId,
    state: createStateReader({ runId, stepId, store: () => store }),
    output: async <Output>({ id }: StepDefinition<string, never, Output>) =>
      // The step's output schema made it, when the step ended.
      (await readOutput(scope, store, id)) as Output,
  };
}
