import { describeError, type StepFailure } from "./step-errors.ts";
import { InvalidValueError } from "../../errors.ts";
import { encodeJson } from "../../json.ts";
import { jsonLimits } from "../../schema/columns.ts";
import type { PlannedStep, Stage, WorkflowPlan } from "../definition/workflow-plan.ts";

/** What a stage is given, as JSON text: whoever reads it has a copy of its own, of what is stored. */
export interface StageInput {
  readonly text: string;
  /** The steps whose stored outputs it is made of; null for a value that is in no output. */
  readonly from: string | string[] | null;
}

/** The place of a stage whose conditions have not been asked yet. */
export interface StagePosition {
  readonly index: number;
  readonly input: StageInput;
}

/** A step of the current stage: how far it is, and what of that the store knows. */
export interface StepRun {
  readonly planned: PlannedStep;
  /** The number of its next try, or of the one under way. */
  attempt: number;
  /** Tries before the run was last reopened: they do not count for its retries. */
  readonly attemptOffset: number;
  /** Of the calls of `ctx.sleep`, how many do not sleep again. */
  sleepCount: number;
  /** When it goes on, where it sleeps or is to be tried again. */
  notBefore: Date | null;
  startedAt: Date | null;
  /** When the attempt began here; null before. */
  attemptStartedAt: Date | null;
  /** It has a row. */
  stored: boolean;
  /** Its row says that this attempt has begun. */
  shown: boolean;
}

/** A step that was passed over before the stage, whose row is not stored yet. */
export interface PassedStep {
  readonly planned: PlannedStep;
  readonly input: StageInput;
  readonly status: "SKIPPED" | "FAILED";
  readonly error: StepFailure | null;
  /** It has a row: its condition has failed before, in a run that was reopened since. */
  readonly stored: boolean;
}

/** The stage that a run is at. */
export interface StageRun extends StagePosition {
  readonly stage: Stage;
  /** The steps to be run. */
  readonly steps: readonly StepRun[];
  /** The outputs, as JSON text, of those that have ended well, or whose failure is tolerated. */
  readonly outputs: Map<string, string>;
  readonly failures: Map<string, unknown>;
  readonly passed: PassedStep[];
}

/** How a run ends. */
export type RunResult =
  | { readonly status: "COMPLETED"; readonly output: unknown }
  | { readonly status: "FAILED"; readonly error: unknown };

/** How an attempt ended, or was interrupted by a sleep. */
export type Outcome =
  | { readonly status: "COMPLETED"; readonly text: string }
  | { readonly status: "FAILED"; readonly failure: StepFailure }
  | {
      readonly status: "RETRYING";
      readonly failure: StepFailure;
      readonly until: Date;
      readonly delayMs: number;
    }
  | { readonly status: "SLEEPING"; readonly sleepCount: number; readonly until: Date };

/** True when the step goes on at a later time. */
export function isWaiting(outcome: Outcome): outcome is Extract<Outcome, { readonly until: Date }> {
  return outcome.status === "RETRYING" || outcome.status === "SLEEPING";
}

/** Stage `index` at its beginning. */
export function beginStage(
  { index, input }: StagePosition,
  stage: Stage,
  passed: PassedStep[] = [],
  storedStepId: string | null = null,
): StageRun {
  const steps = stage.steps.map((planned): StepRun => ({
    planned,
    attempt: 1,
    attemptOffset: 0,
    sleepCount: 0,
    notBefore: null,
    startedAt: null,
    attemptStartedAt: null,
    stored: planned.definition.id === storedStepId,
    shown: false,
  }));
  return { index, input, stage, steps, outputs: new Map(), failures: new Map(), passed };
}

/** What comes after a stage that has ended; a position where a condition is to be asked first. */
export function findNext(
  { stages }: WorkflowPlan,
  { index, stage, outputs, failures }: StageRun,
): StageRun | StagePosition | RunResult {
  const failed = stage.steps.find(({ definition }) => failures.has(definition.id));
  if (failed !== undefined) {
    return { status: "FAILED", error: failures.get(failed.definition.id) };
  }
  const position = { index: index + 1, input: combineOutputs(stage, outputs) };
  const next = stages[position.index];
  if (next === undefined) return complete(position.input);
  return next.condition === null ? beginStage(position, next) : position;
}

/** A run's output has a lower limit than a step's: it shares its row with the run's input. */
export function complete({ text }: StageInput): RunResult {
  const output: unknown = JSON.parse(text);
  try {
    if (text.length * 3 > jsonLimits.payload) encodeJson(output, "output", jsonLimits.payload);
    return { status: "COMPLETED", output };
  } catch (error) {
    if (!(error instanceof InvalidValueError)) throw error;
    return { status: "FAILED", error: describeError(error) };
  }
}

/** What a stage hands on: its step's output, or the outputs of its steps by step id. */
export function combineOutputs(
  { parallel, steps }: Stage,
  outputs: ReadonlyMap<string, string>,
): StageInput {
  const ids = steps.map(({ definition }) => definition.id);
  const [only = ""] = ids;
  if (!parallel) return { text: outputs.get(only) ?? "null", from: only };
  const members = ids.map((id) => `${JSON.stringify(id)}:${outputs.get(id) ?? "null"}`);
  return { text: `{${members.join()}}`, from: ids };
}

/** Counts the step among the ended ones, unless it is to be tried again. */
export function recordOutcome(stage: StageRun, { planned }: StepRun, outcome: Outcome): void {
  const { id, continueOnError } = planned.definition;
  if (outcome.status === "COMPLETED") stage.outputs.set(id, outcome.text);
  else if (outcome.status === "FAILED" && continueOnError) stage.outputs.set(id, "null");
  else if (outcome.status === "FAILED") stage.failures.set(id, outcome.failure);
}

/** Takes back what `recordOutcome` noted: it could not be stored. */
export function forgetOutcome(stage: StageRun, { planned }: StepRun): void {
  stage.outputs.delete(planned.definition.id);
  stage.failures.delete(planned.definition.id);
}

/** The step as its row now says that it is. */
export function applyOutcome(step: StepRun, outcome: Outcome): void {
  step.stored = true;
  step.shown = outcome.status !== "RETRYING";
  if (!isWaiting(outcome)) return;
  step.notBefore = outcome.until;
  if (outcome.status === "SLEEPING") {
    step.sleepCount = outcome.sleepCount;
    return;
  }
  step.attempt += 1;
  step.attemptStartedAt = null;
}

export function hasEnded({ stage, outputs, failures }: StageRun): boolean {
  return outputs.size + failures.size === stage.steps.length;
}

/** The steps of the run up to here that have ended well, were skipped, or failed with that tolerated. */
export function countEnded({ stage, outputs }: StageRun): number {
  return (stage.steps[0]?.index ?? 0) + outputs.size;
}

/** The steps whose rows do not say yet that they have begun. */
export function unshownSteps({ steps }: StageRun): StepRun[] {
  return steps.filter(
    ({ stored, shown, attemptStartedAt }) => !stored || (!shown && attemptStartedAt !== null),
  );
}
