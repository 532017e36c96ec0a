import { untilAborted } from "../../async/abort.ts";
import { isTransient } from "../store-retry.ts";
import { createReadContext, type RunScope } from "./run-scope.ts";
import {
  complete,
  newStageRun,
  type PassedStep,
  type RunResult,
  type StagePosition,
  type StageRun,
} from "./stage-run.ts";
import { describeFailure, readable } from "./step-errors.ts";

/** The steps at a position that do not run, and the stage or the result after them. */
export interface StageEntry {
  readonly passed: readonly PassedStep[];
  readonly next: StageRun | RunResult;
  /** The number of steps before `next`. */
  readonly endedSteps: number;
}

/**
 * Evaluates the conditions from the position on, in order. If a condition is false, the next step gets the step's input.
 * If it throws, the step has failed.
 *
 * @throws a transient store error that a condition threw, or the signal's reason. Nothing is decided then.
 */
export async function enterStage(
  scope: RunScope,
  { index: first, input: firstInput, failedStepId }: StagePosition,
): Promise<StageEntry> {
  const { workflow, store, signal } = scope;
  const { stages, stepIds } = workflow.plan;
  const passed: PassedStep[] = [];
  let input = firstInput;
  for (let index = first; ; index++) {
    const stage = stages[index];
    const [planned] = stage?.steps ?? [];
    const endedSteps = planned?.index ?? stepIds.size;
    if (stage === undefined) return { passed, next: complete(input), endedSteps };
    const begin = (): StageEntry => {
      const next = newStageRun({ index, input }, stage);
      for (const step of next.steps) {
        if (step.planned.definition.id === failedStepId) step.row = "earlier";
      }
      return { passed, next, endedSteps };
    };
    const { condition } = stage;
    if (condition === null || planned === undefined) return begin();
    const { id, continueOnError } = planned.definition;
    const step = { planned, input, hasRow: id === failedStepId };
    try {
      const context = createReadContext(scope, id, () => store);
      const asking = (async (text: string) => condition(JSON.parse(text), context))(input.text);
      if (await untilAborted(signal, asking)) return begin();
      passed.push({ ...step, status: "SKIPPED", error: null });
    } catch (caught) {
      signal.throwIfAborted();
      const thrown = readable(caught);
      if (isTransient(thrown)) throw thrown;
      const error = describeFailure(thrown, id, 0);
      passed.push({ ...step, status: "FAILED", error });
      if (!continueOnError) return { passed, next: { status: "FAILED", error }, endedSteps };
      input = { text: "null", from: id };
    }
  }
}
