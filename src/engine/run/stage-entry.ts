import { untilAborted } from "../../async/abort.ts";
import { decodeJson } from "../../json.ts";
import { isTransient } from "../store-retry.ts";
import { createReadContext } from "./read-context.ts";
import type { RunScope } from "./run-scope.ts";
import {
  beginStage,
  countEnded,
  findNext,
  hasEnded,
  isUndecided,
  type PassedStep,
  type RunResult,
  type StageInput,
  type StageRun,
  type StepRun,
} from "./stage-run.ts";
import { describeFailure, readable } from "./step-errors.ts";

/** The steps that do not run because of their conditions, and the stage or the result after them. */
export interface StageEntry {
  readonly passed: readonly PassedStep[];
  readonly next: StageRun | RunResult;
  /** The number of steps that have ended before `next`, or in it. */
  readonly endedSteps: number;
}

/**
 * Evaluates the conditions of the stage, and of the next stages while no step is left to run. If a condition throws, its
 * step has failed.
 *
 * @throws a transient store error that a condition threw, or the signal's reason. Nothing is decided then.
 */
export async function enterStage(scope: RunScope, first: StageRun): Promise<StageEntry> {
  const { plan } = scope.workflow;
  const passed: PassedStep[] = [];
  let stage = first;
  for (;;) {
    const { index, input, steps } = stage;
    const decisions = await Promise.all(steps.map((step) => decide(scope, input, step)));
    const decided = decisions.filter((decision) => decision !== null);
    passed.push(...decided);
    stage = afterDecisions(stage, decided);
    const next = decided.some(passesInputOn)
      ? beginStage(plan, index + 1, input)
      : hasEnded(stage)
        ? findNext(plan, stage)
        : stage;
    if ("status" in next) return { passed, next, endedSteps: countEnded(stage) };
    if (!isUndecided(next)) return { passed, next, endedSteps: countEnded(next) };
    stage = next;
  }
}

/** Null if the step runs. */
async function decide(
  scope: RunScope,
  input: StageInput,
  { planned, row, isUndecided: isAsked }: StepRun,
): Promise<PassedStep | null> {
  const { store, signal } = scope;
  const { id, condition } = planned.definition;
  if (!isAsked || condition === null) return null;
  const step = { planned, input, hasRow: row !== "missing" };
  try {
    const context = createReadContext(scope, id, () => store);
    const asking = (async (text: string) => condition(decodeJson(text), context))(input.text);
    if (await untilAborted(signal, asking)) return null;
    return { ...step, status: "SKIPPED", error: null };
  } catch (caught) {
    signal.throwIfAborted();
    const thrown = readable(caught);
    if (isTransient(thrown)) throw thrown;
    return { ...step, status: "FAILED", error: describeFailure(thrown, id, 0) };
  }
}

/** True if the next stage gets the input of this step, because it was skipped and has no value for that. */
function passesInputOn({ status, planned }: PassedStep): boolean {
  return status === "SKIPPED" && planned.definition.otherwise === null;
}

/** The stage without the steps that do not run. The given one does not change, because the store may fail. */
function afterDecisions(stage: StageRun, passed: readonly PassedStep[]): StageRun {
  const outputs = new Map(stage.outputs);
  const failures = new Map(stage.failures);
  for (const { planned, status, error } of passed) {
    const { id, otherwise, continueOnError } = planned.definition;
    if (status === "FAILED" && !continueOnError) failures.set(id, error);
    else outputs.set(id, (status === "SKIPPED" ? otherwise : null) ?? "null");
  }
  const steps = stage.steps
    .filter(({ planned }) => !passed.some((step) => step.planned === planned))
    .map(toDecided);
  return { ...stage, steps, outputs, failures };
}

function toDecided(step: StepRun): StepRun {
  return { ...step, isUndecided: false };
}
