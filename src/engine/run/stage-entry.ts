import { untilAborted, type StopSignal } from "../../async/abort.ts";
import { isTransient } from "../pauses.ts";
import {
  beginStage,
  complete,
  type PassedStep,
  type RunResult,
  type StageInput,
  type StagePosition,
  type StageRun,
} from "./stage-run.ts";
import { describeFailure, readable } from "./step-errors.ts";
import type { ConditionContext, WorkflowPlan } from "../definition/workflow-plan.ts";

/** What comes at a position: the steps that are passed over, and the stage or the end after them. */
export interface Entry {
  readonly passed: PassedStep[];
  readonly next: StageRun | RunResult;
  /** The steps before it. */
  readonly endedSteps: number;
}

/**
 * Finds what runs at the position. Conditions are asked in order; a step whose condition does not hold passes the
 * input on, one whose condition throws has failed. `failedStepId` is the step whose condition has failed before the
 * run was reopened: it has a row.
 *
 * @throws the store's error, when a condition met one that passes, and the signal's reason, for which no condition
 *   is waited: nothing is decided then.
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
): Promise<Entry> {
  const passed: PassedStep[] = [];
  let value: StageInput = input;
  for (let at = index; ; at++) {
    const stage = plan.stages[at];
    const [planned] = stage?.steps ?? [];
    const endedSteps = planned?.index ?? plan.stepIds.size;
    if (stage === undefined) return { passed, next: complete(value), endedSteps };
    const begin = (): Entry => {
      const next = beginStage({ index: at, input: value }, stage, passed, failedStepId);
      return { passed, next, endedSteps };
    };
    if (stage.condition === null || planned === undefined) return begin();
    const { id, continueOnError } = planned.definition;
    const step = { planned, input: value, stored: id === failedStepId };
    try {
      const { condition } = stage;
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
