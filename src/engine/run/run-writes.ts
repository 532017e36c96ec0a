import {
  durationBetween,
  type RunChanges,
  type StepExecutionChanges,
} from "../../model/changes.ts";
import type { Fence } from "../../model/transitions.ts";
import type { BatchWriter } from "../../store/batches.ts";
import {
  isWaiting,
  type Outcome,
  type PassedStep,
  type RunResult,
  type StageInput,
  type StageRun,
  type StepRun,
} from "./stage-run.ts";
import type { PlannedStep } from "../definition/workflow-plan.ts";

/** Something that has happened in a run: one commit. */
export interface RunEvent {
  /** The steps of the run that have ended well, were skipped, or failed with that tolerated. */
  readonly endedSteps: number;
  /** Steps that were passed over. */
  readonly passed: readonly PassedStep[];
  /** The stage that the run is at; null when none has begun. */
  readonly stage: StageRun | null;
  /** A step of the stage that has ended, or goes on later. */
  readonly settled?: { readonly step: StepRun; readonly outcome: Outcome } | undefined;
  /** Steps of the stage that have begun, which their rows do not say yet. */
  readonly begun: readonly StepRun[];
  /** Steps of a reopened run, which begin anew. */
  readonly reopened?: readonly StepRun[];
  /** The stage that begins with this. */
  readonly next?: StageRun | null;
  readonly result?: RunResult | null;
  /** The run is given back, not to be claimed before that time. */
  readonly givenBack?: { readonly wakeAt: Date | null } | null;
}

/** Who writes, in which run, and when. */
export interface Author {
  readonly runId: string;
  readonly totalSteps: number;
  readonly fence: Fence;
  readonly now: Date;
}

/**
 * Notes down an event. The change of the run comes first: it is the fence of all that follows.
 *
 * Each event changes the run, and with it its revision: whoever watches it sees that something has happened.
 */
export function writeEvent(write: BatchWriter, author: Author, event: RunEvent): void {
  const { runId, fence, now } = author;
  const { stage, settled, begun, passed, reopened = [], next } = event;
  write.updateRun(runId, changesOfRun(author, event), fence);
  for (const step of passed) writePassed(write, author, step);
  if (stage !== null) {
    if (settled) writeOutcome(write, author, stage, settled.step, settled.outcome);
    for (const step of begun) {
      if (step !== settled?.step) writeBegun(write, author, stage.input, step);
    }
  }
  for (const { planned, attempt, attemptOffset } of reopened) {
    write.updateStepExecution(runId, planned.definition.id, {
      status: "RUNNING",
      attempt,
      attemptOffset,
      sleepCount: 0,
      wakeAt: null,
      error: null,
      startedAt: now,
      completedAt: null,
      durationMs: null,
    });
  }
  if (next) for (const step of next.steps) writeBegun(write, author, next.input, step);
}

function changesOfRun(
  { totalSteps }: Author,
  { endedSteps, result = null, givenBack = null }: RunEvent,
): RunChanges {
  const progress = endedSteps / totalSteps;
  if (givenBack !== null) return { progress, status: "PENDING", wakeAt: givenBack.wakeAt };
  if (result === null) return { progress };
  if (result.status === "COMPLETED") return { ...result, progress: 1 };
  // A run whose output is refused has failed after its last step.
  return { ...result, progress: Math.min(endedSteps, totalSteps - 1) / totalSteps };
}

function writePassed(
  write: BatchWriter,
  { runId, now }: Author,
  { planned, input, status, error, stored }: PassedStep,
): void {
  const { id: stepId, continueOnError } = planned.definition;
  const changes = { ...inputColumns(input), status, error, completedAt: now };
  if (stored) write.updateStepExecution(runId, stepId, changes);
  else write.createStepExecution({ ...newRow(runId, planned, now), ...changes });
  if (status === "FAILED" && continueOnError) write.saveStepOutput(runId, stepId, null);
}

/** The row says that the attempt is under way. */
function writeBegun(
  write: BatchWriter,
  { runId, now }: Author,
  input: StageInput,
  { planned, stored, attempt, startedAt }: StepRun,
): void {
  if (stored) {
    const changes = { status: "RUNNING", attempt, wakeAt: null } as const;
    write.updateStepExecution(runId, planned.definition.id, changes);
    return;
  }
  write.createStepExecution({
    ...newRow(runId, planned, startedAt ?? now),
    ...inputColumns(input),
    status: "RUNNING",
    attempt,
    startedAt: startedAt ?? now,
  });
}

/** How an attempt ended: in the step's row, or as its row when it has none yet. */
function writeOutcome(
  write: BatchWriter,
  { runId, fence, now }: Author,
  { input }: StageRun,
  step: StepRun,
  outcome: Outcome,
): void {
  const { planned, attempt, startedAt } = step;
  const { id: stepId, continueOnError } = planned.definition;
  const completedAt = isWaiting(outcome) ? null : now;
  const changes = {
    status: outcome.status === "SLEEPING" ? "RUNNING" : outcome.status,
    attempt,
    error: "failure" in outcome ? outcome.failure : null,
    startedAt,
    completedAt,
    durationMs: durationBetween(startedAt, completedAt),
    ...(isWaiting(outcome) && { wakeAt: outcome.until }),
    ...(!isWaiting(outcome) && step.notBefore !== null && { wakeAt: null }),
    ...(outcome.status === "SLEEPING" && { sleepCount: outcome.sleepCount }),
  } satisfies StepExecutionChanges;
  if (step.stored) write.updateStepExecution(runId, stepId, changes);
  else {
    const row = newRow(runId, planned, startedAt ?? now);
    write.createStepExecution({ ...row, ...inputColumns(input), ...changes });
  }
  if (outcome.status === "COMPLETED") {
    write.saveStepOutput(runId, stepId, JSON.parse(outcome.text));
  } else if (outcome.status === "FAILED" && continueOnError) {
    write.saveStepOutput(runId, stepId, null);
  }
  // The row alone says all of a step that completes at once.
  if ("failure" in outcome || (outcome.status === "COMPLETED" && attempt > 1)) {
    write.saveStepAttempt({
      runId,
      stepId,
      attempt,
      status: outcome.status === "COMPLETED" ? "COMPLETED" : "FAILED",
      error: changes.error,
      workerId: fence.workerId,
      startedAt: step.attemptStartedAt,
      completedAt: now,
    });
  }
}

/** The columns of a step's input: what is made of stored outputs is not stored again. */
export function inputColumns({ text, from }: StageInput) {
  return from === null ? { input: JSON.parse(text) as unknown } : { inputFrom: from };
}

/** The identity of a row of a step that was reached at `createdAt`. */
function newRow(runId: string, { index, definition }: PlannedStep, createdAt: Date) {
  return { runId, stepId: definition.id, executionIndex: index, createdAt };
}
