import { untilAborted, type StopSignal } from "../../async/abort.ts";
import type { ConditionContext, WorkflowPlan } from "../definition/workflow-plan.ts";
import { isTransient } from "../store-retry.ts";
import {
  complete,
  newStageRun,
  type PassedStep,
  type RunResult,
  type StageInput,
  type StagePosition,
  type StageRun,
} from "./stage-run.ts";
import { describeFailure, readable } from "./step-errors.ts";

/** What follows a position: the steps that do not run, and the stage or the result after them. */
export interface StageEntry {
  readonly passed: readonly PassedStep[];
  readonly next: StageRun | RunResult;
  /** The number of steps before `next`. */
  readonly endedSteps: number;
}

/**
 * Asks the conditions from the position on, in order. A step whose condition does not hold passes its input on; a step
 * whose condition throws has failed. `failedStepId` is the step whose condition failed before the run was reopened.
 *
 * @throws the error of a store that a condition met, if it is transient, or the signal's reason. Nothing is decided then.
 */
export async function enterStage(
  plan: WorkflowPlan,
  { index, input }: StagePosition,
  {
    failedStepId,
    signal,
    contextOf,
  }: {
    readonly failedStepId: string | null;
    readonly signal: StopSignal;
    readonly contextOf: (stepId: string) => ConditionContext;
  },
): Promise<StageEntry> {
  const passed: PassedStep[] = [];
  let value: StageInput = input;
  for (let at = index; ; at++) {
    const stage = plan.stages[at];
    const [planned] = stage?.steps ?? [];
    const endedSteps = planned?.index ?? plan.stepIds.size;
    if (stage === undefined) return { passed, next: complete(value), endedSteps };
    const begin = (): StageEntry => {
      const next = newStageRun({ index: at, input: value }, stage);
      for (const step of next.steps) {
        if (step.planned.definition.id === failedStepId) step.row = "earlier";
      }
      return { passed, next, endedSteps };
    };
    const { condition } = stage;
    if (condition === null || planned === undefined) return begin();
    const { id, continueOnError } = planned.definition;
    const step = { planned, input: value, hasRow: id === failedStepId };
    try {
      const asking = (async () => condition(JSON.parse(value.text), contextOf(id)))();
      if (await untilAborted(signal, asking)) return begin();
      passed.push({ ...step, status: "SKIPPED", error: null });
    } catch (caught) {
      signal.throwIfAborted();
      const thrown = readable(caught);
      if (isTransient(thrown)) throw thrown;
      const error = describeFailure(thrown, id, 0);
      passed.push({ ...step, status: "FAILED", error });
      if (!continueOnError) return { passed, next: { status: "FAILED", error }, endedSteps };
      value = { text: "null", from: id };
    }
  }
}
