import type { StepExecutionChanges } from "../model/changes.ts";
import { durationBetween } from "../model/changes.ts";
import type { NewStepExecution } from "../schema/rows.ts";
import type { BatchWriter } from "../store/batches.ts";
import type { StepFailure } from "./step-errors.ts";
import type { PlannedStep, Stage } from "./workflow-plan.ts";

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
}

/** The stage that a run is at. */
export interface StageRun {
  readonly index: number;
  readonly stage: Stage;
  readonly input: unknown;
  /** The steps to be run. */
  readonly steps: readonly StepRun[];
  /** The outputs of those that have ended well, or whose failure is tolerated. */
  readonly outputs: Map<string, unknown>;
  readonly failures: Map<string, unknown>;
}

/** How an attempt ended, or was interrupted by a sleep. */
export type Outcome =
  | { readonly status: "COMPLETED"; readonly output: unknown }
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

/** Counts the step among the ended ones, unless it is to be tried again. */
export function recordOutcome(stage: StageRun, { planned }: StepRun, outcome: Outcome): void {
  const { id, continueOnError } = planned.definition;
  if (outcome.status === "COMPLETED") stage.outputs.set(id, outcome.output);
  else if (outcome.status === "FAILED" && continueOnError) stage.outputs.set(id, null);
  else if (outcome.status === "FAILED") stage.failures.set(id, outcome.failure);
}

/** Takes back what `recordOutcome` noted: it could not be stored. */
export function forgetOutcome(stage: StageRun, { planned }: StepRun): void {
  stage.outputs.delete(planned.definition.id);
  stage.failures.delete(planned.definition.id);
}

export function countEnded({ outputs, failures }: StageRun): number {
  return outputs.size + failures.size;
}

export function hasEnded(stage: StageRun): boolean {
  return countEnded(stage) === stage.stage.steps.length;
}

/** The error of the first step, in the definition's order, that has failed for good; null when none has. */
export function firstFailure({ stage, failures }: StageRun): { readonly error: unknown } | null {
  const failed = stage.steps.find(({ definition }) => failures.has(definition.id));
  return failed === undefined ? null : { error: failures.get(failed.definition.id) };
}

/** The row of a step that has been reached at `createdAt`. */
export function newStepRow(
  runId: string,
  { index, definition }: PlannedStep,
  input: unknown,
  createdAt: Date,
): NewStepExecution {
  return { runId, stepId: definition.id, executionIndex: index, input, createdAt };
}

/** Who writes, and when. */
export interface Authorship {
  readonly runId: string;
  readonly workerId: string;
  readonly now: Date;
}

/** Notes down how an attempt ended: in the step's row, or as its row where it has none yet. */
export function writeOutcome(
  write: BatchWriter,
  { runId, workerId, now }: Authorship,
  { input }: StageRun,
  step: StepRun,
  outcome: Outcome,
): void {
  const { id: stepId, continueOnError } = step.planned.definition;
  const completedAt = isWaiting(outcome) ? null : now;
  const changes = {
    status: outcome.status === "SLEEPING" ? "RUNNING" : outcome.status,
    attempt: step.attempt,
    error: "failure" in outcome ? outcome.failure : null,
    startedAt: step.startedAt,
    completedAt,
    durationMs: durationBetween(step.startedAt, completedAt),
    ...(isWaiting(outcome) && { wakeAt: outcome.until }),
    ...(!isWaiting(outcome) && step.notBefore !== null && { wakeAt: null }),
    ...(outcome.status === "SLEEPING" && { sleepCount: outcome.sleepCount }),
  } satisfies StepExecutionChanges;
  if (step.stored) write.updateStepExecution(runId, stepId, changes);
  else
    write.createStepExecution({
      ...newStepRow(runId, step.planned, input, step.startedAt ?? now),
      ...changes,
    });
  if (outcome.status === "COMPLETED") write.saveStepOutput(runId, stepId, outcome.output);
  else if (outcome.status === "FAILED" && continueOnError) {
    write.saveStepOutput(runId, stepId, null);
  }
  // A step that completes at once is told by its row.
  if ("failure" in outcome || (outcome.status === "COMPLETED" && step.attempt > 1)) {
    write.saveStepAttempt({
      runId,
      stepId,
      attempt: step.attempt,
      status: outcome.status === "COMPLETED" ? "COMPLETED" : "FAILED",
      error: changes.error,
      workerId,
      startedAt: step.attemptStartedAt,
      completedAt: now,
    });
  }
}
