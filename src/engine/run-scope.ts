import { InvalidArgumentError } from "../errors.ts";
import type { WorkflowRunSummary } from "../schema/rows.ts";
import type { Clock } from "../store/clock.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import type { StepDefinition } from "./define-step.ts";
import type { BoundLogger } from "./logger.ts";
import type { RunJournal } from "./run-journal.ts";
import type { RunLedger } from "./run-ledger.ts";
import type { RunReports } from "./run-reports.ts";
import { copyJson } from "./stage-entry.ts";
import { createStateReader } from "./step-state.ts";
import type { Workflow } from "./workflow-builder.ts";
import type { ConditionContext } from "./workflow-plan.ts";

/** What the parts of the execution of one run share. */
export interface RunScope {
  readonly store: WorkflowStore;
  readonly workflow: Workflow;
  readonly run: WorkflowRunSummary;
  readonly workerId: string;
  readonly logger: BoundLogger;
  readonly reports: RunReports;
  readonly clock: Clock;
  readonly journal: RunJournal;
  readonly ledger: RunLedger;
  /** Stops the run here, for this reason; a second one changes nothing. */
  readonly stop: (reason: unknown) => void;
  /** Aborts when the run stops here; the reason says why. */
  readonly signal: AbortSignal;
  /** Aborts when no further step should begin here. */
  readonly drainSignal: AbortSignal;
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

/**
 * What the condition of a step sees. `reader` is where state and outputs are read; `fresh` are the outputs of the
 * stage that has just ended, which may not be stored yet.
 */
export function createConditionContext(
  scope: Pick<RunScope, "workflow" | "run">,
  stepId: string,
  reader: WorkflowStore,
  fresh: ReadonlyMap<string, unknown>,
): ConditionContext {
  const { runId } = scope.run;
  return {
    runId,
    state: createStateReader({ runId, stepId, store: () => reader }),
    output: async <Output>({ id }: StepDefinition<string, never, Output>) =>
      // The step's output schema made it, when the step ended.
      (fresh.has(id) ? copyJson(fresh.get(id)) : await readOutput(scope, reader, id)) as Output,
  };
}
