import { untilAborted } from "../../async/abort.ts";
import { decodeJson } from "../../json.ts";
import { isTransient, retryWhileBusy } from "../store-retry.ts";
import { createReadContext } from "./read-context.ts";
import type { RunScope } from "./run-scope.ts";
import type { RunWriter } from "./run-writer.ts";
import {
  beginStage,
  countEnded,
  findNext,
  hasEnded,
  isUndecided,
  isUnsaved,
  type PassedStep,
  type RunResult,
  type StageInput,
  type StageRun,
  StepRun,
} from "./stage-run.ts";
import { describeFailure, readable } from "./step-errors.ts";

/**
 * Evaluates the conditions of the stage, and stores the steps that do not run. Returns what follows: the stage itself if a
 * step of it is left to run. If a condition throws, its step has failed.
 *
 * @throws a transient store error if the store stays busy for longer than the lease, or the signal's reason. Nothing is
 * decided then.
 */
export async function enterStage(
  scope: RunScope,
  writer: RunWriter,
  stage: StageRun,
): Promise<StageRun | RunResult> {
  const { leaseMs, signal, drainSignal, observer, workflow } = scope;
  const { index, input, steps } = stage;
  const decisions = steps.map((step) =>
    retryWhileBusy(() => decide(scope, input, step), leaseMs, signal),
  );
  const passed = (await Promise.all(decisions)).filter((decision) => decision !== null);
  const decided = afterDecisions(stage, passed);
  const next = passed.some(passesInputOn)
    ? beginStage(workflow.plan, index + 1, input)
    : hasEnded(decided)
      ? findNext(workflow.plan, decided)
      : decided;
  const event = { endedSteps: countEnded(decided), passed };
  if ("status" in next) await writer.store({ ...event, result: next });
  else {
    const begun = isUndecided(next) || drainSignal.aborted ? [] : next.steps.filter(isUnsaved);
    await writer.store({ ...event, stage: next, begun });
    for (const step of begun) step.row = "current";
  }
  observer.passed(passed);
  return next;
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
  const left = stage.steps.filter(
    ({ planned }) => !passed.some((step) => step.planned === planned),
  );
  const steps = left.map((step) =>
    Object.assign(new StepRun(step.planned), step, { isUndecided: false }),
  );
  return { ...stage, steps, outputs, failures };
}
