import { decodeJson, encodeKey, utf8ByteLength } from "../../json.ts";
import { jsonLimits } from "../../schema/columns.ts";
import type { PlannedStep, Stage, WorkflowPlan } from "../definition/workflow-plan.ts";
import type { StepFailure } from "./step-errors.ts";

/** The input of a stage as JSON text, so that each reader gets its own copy. */
export interface StageInput {
  readonly text: string;
  /** The steps whose stored outputs it consists of; null for the input of the run. */
  readonly from: string | string[] | null;
}

/** A step of the current stage, and how much of it is stored. At first it has no row. */
export class StepRun {
  readonly planned: PlannedStep;
  /** True if the step has a condition that is not evaluated yet. */
  isUndecided: boolean;
  /** The number of the running attempt or the next one. */
  attempt: number;
  /** Attempts before the run was last reopened. They do not count as retries. */
  attemptOffset: number;
  /** The number of calls of `ctx.sleep` that return immediately. */
  sleepCount = 0;
  /** The earliest time of the next attempt; null if it may begin now. */
  notBefore: Date | null = null;
  startedAt: Date | null = null;
  /** The time at which the attempt began in this process; null before that. */
  attemptStartedAt: Date | null = null;
  /** Whether the step's row is missing, describes an earlier attempt, or describes this one. */
  row: "missing" | "earlier" | "current" = "missing";
  /** The parsed input as JSON text; null if it is not parsed yet or is not JSON. */
  parsedInput: string | null = null;
  /** True if the row holds `parsedInput`. */
  isInputStored = false;
  /** True if the input schema accepted the input in an earlier attempt. */
  wasAccepted = false;

  constructor(planned: PlannedStep, firstAttempt = 1) {
    this.planned = planned;
    this.isUndecided = planned.definition.condition !== null;
    this.attempt = firstAttempt;
    this.attemptOffset = firstAttempt - 1;
  }
}

/** A step that does not run, because its condition is false or threw. */
export interface PassedStep {
  readonly planned: PlannedStep;
  readonly input: StageInput;
  readonly status: "SKIPPED" | "FAILED";
  readonly error: StepFailure | null;
  /** True if the step has a row: its condition failed before the run was reopened. */
  readonly hasRow: boolean;
}

/** The current stage of a run. */
export interface StageRun {
  readonly index: number;
  readonly stage: Stage;
  readonly input: StageInput;
  /** The steps to run. */
  readonly steps: readonly StepRun[];
  /** Outputs as JSON text, by step id. A failure with `continueOnError` has the output null. */
  readonly outputs: Map<string, string>;
  readonly failures: Map<string, unknown>;
}

export type RunResult =
  | { readonly status: "COMPLETED"; readonly output: unknown }
  | { readonly status: "FAILED"; readonly error: unknown };

/** The outcome of an attempt. */
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

/** True if the step continues at a later time. */
export function isWaiting(outcome: Outcome): outcome is Extract<Outcome, { readonly until: Date }> {
  return outcome.status === "RETRYING" || outcome.status === "SLEEPING";
}

/** The stage with this index, with no step begun, or the result of the run if it has no such stage. */
export function beginStage(
  { stages }: WorkflowPlan,
  index: number,
  input: StageInput,
  firstAttempt = 1,
): StageRun | RunResult {
  const stage = stages[index];
  if (stage === undefined) return complete(input);
  const steps = stage.steps.map((planned) => new StepRun(planned, firstAttempt));
  return { index, stage, input, steps, outputs: new Map(), failures: new Map() };
}

/** Finds what follows an ended stage: the next stage or the result of the run. */
export function findNext(
  plan: WorkflowPlan,
  { index, stage, outputs, failures }: StageRun,
): StageRun | RunResult {
  const failed = stage.steps.find(({ definition }) => failures.has(definition.id));
  if (failed !== undefined) {
    return { status: "FAILED", error: failures.get(failed.definition.id) };
  }
  return beginStage(plan, index + 1, combineOutputs(stage, outputs));
}

/**
 * The result of a run whose last stage has this output. The row of a run holds at most 2 MiB of output, because it also
 * holds the input. The row of a run with a larger output has null.
 */
function complete({ text, from }: StageInput): RunResult {
  const isTooLarge = from !== null && utf8ByteLength(text) > jsonLimits.payload;
  return { status: "COMPLETED", output: isTooLarge ? null : decodeJson(text) };
}

/** The output of a stage: that of its only step, or the outputs of parallel steps by step id. */
export function combineOutputs(
  { parallel, steps }: Stage,
  outputs: ReadonlyMap<string, string>,
): StageInput {
  const [first] = steps;
  if (!parallel && first !== undefined) {
    const { id } = first.definition;
    return { text: outputs.get(id) ?? "null", from: id };
  }
  const ids = steps.map(({ definition }) => definition.id);
  const members = ids.map((id) => `${encodeKey(id)}:${outputs.get(id) ?? "null"}`);
  return { text: `{${members.join()}}`, from: ids };
}

/** Counts the step as ended, unless it continues later. */
export function addOutcome(stage: StageRun, { planned }: StepRun, outcome: Outcome): void {
  const { id, continueOnError } = planned.definition;
  if (outcome.status === "COMPLETED") stage.outputs.set(id, outcome.text);
  else if (outcome.status === "FAILED" && continueOnError) stage.outputs.set(id, "null");
  else if (outcome.status === "FAILED") stage.failures.set(id, outcome.failure);
}

/** Undoes `addOutcome` after a failed write. */
export function removeOutcome(stage: StageRun, { planned }: StepRun): void {
  stage.outputs.delete(planned.definition.id);
  stage.failures.delete(planned.definition.id);
}

export function hasEnded({ stage, outputs, failures }: StageRun): boolean {
  return outputs.size + failures.size === stage.steps.length;
}

/** True if a step of the stage has a condition that is not evaluated yet. */
export function isUndecided({ steps }: StageRun): boolean {
  return steps.some((step) => step.isUndecided);
}

/** The number of steps up to this stage that have ended without failing the run. */
export function countEnded({ stage, outputs }: StageRun): number {
  return (stage.steps[0]?.index ?? 0) + outputs.size;
}

/** The progress of the stage, for an event. */
export function describeProgress(stage: StageRun) {
  return {
    stage,
    endedSteps: countEnded(stage),
    begun: stage.steps.filter(isUnsaved),
  };
}

/**
 * True if the row must still say that the attempt has begun. All restarted steps of a reopened run begin in one commit:
 * a step whose row is FAILED then has failed since.
 */
export function isUnsaved({ row, attempt, attemptOffset, attemptStartedAt }: StepRun): boolean {
  const isRestart = attempt === attemptOffset + 1;
  return row === "missing" || (row === "earlier" && (isRestart || attemptStartedAt !== null));
}
