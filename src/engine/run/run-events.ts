import { markChecked } from "../../arguments.ts";
import {
  durationBetween,
  type RunChanges,
  type StepExecutionChanges,
} from "../../model/changes.ts";
import type { Fence } from "../../model/transitions.ts";
import type { NewStepExecution } from "../../schema/rows.ts";
import type { BatchWriter } from "../../store/batches.ts";
import type { PlannedStep } from "../definition/workflow-plan.ts";
import {
  isWaiting,
  type Outcome,
  type PassedStep,
  type RunResult,
  type StageInput,
  type StageRun,
  type StepRun,
} from "./stage-run.ts";

/** A change of a run that is stored in one commit. */
export interface RunEvent {
  /** The steps of the run that completed, were skipped, or failed with `continueOnError`. */
  readonly endedSteps: number;
  /** The current stage; null if there is none. */
  readonly stage: StageRun | null;
  /** Steps of the stage that have begun, which their rows do not say yet. */
  readonly begun: readonly StepRun[];
  /** Steps before the stage that do not run. */
  readonly passed?: readonly PassedStep[];
  /** A step of the stage that has ended, or continues later. */
  readonly settled?: { readonly step: StepRun; readonly outcome: Outcome } | undefined;
  /** The next stage, which begins with this event. */
  readonly next?: StageRun | null;
  readonly result?: RunResult | null;
  /** The run is released: no worker claims it before `wakeAt`. */
  readonly released?: { readonly wakeAt: Date | null } | null;
}

/** The run that is written, and the claim that writes it. */
export interface EventAuthor {
  readonly runId: string;
  readonly totalSteps: number;
  readonly fence: Fence;
}

/**
 * The writes of an event. The change of the run comes first: its fence guards the whole batch. Every event changes the
 * run's revision, so watchers see that something happened.
 */
export function writeEvent(
  write: BatchWriter,
  author: EventAuthor,
  event: RunEvent,
  now: Date,
): void {
  const { runId, fence } = author;
  const { stage, settled, begun, passed, next } = event;
  // The engine made all these arguments: the store need not check them again.
  write.updateRun(runId, markChecked(runChanges(author, event)), fence);
  if (passed !== undefined) for (const step of passed) writePassed(write, runId, step, now);
  if (stage !== null) {
    if (settled) writeOutcome(write, author, stage.input, settled, now);
    for (const step of begun) {
      if (step !== settled?.step) writeBegun(write, runId, stage.input, step, now);
    }
  }
  if (next) for (const step of next.steps) writeBegun(write, runId, next.input, step, now);
}

function runChanges(
  { totalSteps }: EventAuthor,
  { endedSteps, result = null, released = null }: RunEvent,
): RunChanges {
  const progress = endedSteps / totalSteps;
  if (released !== null) return { progress, status: "PENDING", wakeAt: released.wakeAt };
  if (result === null) return { progress };
  if (result.status === "COMPLETED") return { ...result, progress: 1 };
  return { ...result, progress: Math.min(endedSteps, totalSteps - 1) / totalSteps };
}

function writePassed(
  write: BatchWriter,
  runId: string,
  { planned, input, status, error, hasRow }: PassedStep,
  now: Date,
): void {
  const { id: stepId, continueOnError } = planned.definition;
  const changes = { ...inputColumns(input), status, error, completedAt: now };
  if (hasRow) write.updateStepExecution(runId, stepId, markChecked(changes));
  else write.createStepExecution(markChecked({ ...rowIdentity(runId, planned, now), ...changes }));
  if (status === "FAILED" && continueOnError) write.saveStepOutput(runId, stepId, null);
}

/** Makes the row say that the attempt is under way. */
function writeBegun(
  write: BatchWriter,
  runId: string,
  input: StageInput,
  step: StepRun,
  now: Date,
): void {
  const { planned, attempt, attemptOffset, sleepCount } = step;
  const startedAt = step.startedAt ?? now;
  if (step.row === "missing") {
    const row: NewStepExecution = {
      ...rowIdentity(runId, planned, startedAt),
      ...(parsedColumn(step, input) ?? inputColumns(input)),
      status: "RUNNING",
      attempt,
      attemptOffset,
      startedAt,
    };
    write.createStepExecution(markChecked(row));
    return;
  }
  const changes: StepExecutionChanges = {
    status: "RUNNING",
    attempt,
    wakeAt: null,
    ...parsedColumn(step, input),
    // The first attempt after the run was reopened: the row describes the step's earlier end.
    ...(attempt === attemptOffset + 1 && {
      ...(parsedColumn(step, input) ?? inputColumns(input)),
      attemptOffset,
      sleepCount,
      error: null,
      startedAt,
      completedAt: null,
      durationMs: null,
    }),
  };
  write.updateStepExecution(runId, planned.definition.id, markChecked(changes));
}

function writeOutcome(
  write: BatchWriter,
  { runId, fence }: EventAuthor,
  input: StageInput,
  { step, outcome }: NonNullable<RunEvent["settled"]>,
  now: Date,
): void {
  const { planned, attempt, startedAt } = step;
  const { id: stepId, continueOnError } = planned.definition;
  const isLater = isWaiting(outcome);
  const completedAt = isLater ? null : now;
  const error = "failure" in outcome ? outcome.failure : null;
  const parsed = isLater ? parsedColumn(step, input) : undefined;
  const changes: StepExecutionChanges = {
    status: outcome.status === "SLEEPING" ? "RUNNING" : outcome.status,
    attempt,
    error,
    startedAt,
    completedAt,
    durationMs: durationBetween(startedAt, completedAt),
    ...(isLater && { wakeAt: outcome.until }),
    ...(!isLater && step.notBefore !== null && { wakeAt: null }),
    ...(outcome.status === "SLEEPING" && { sleepCount: outcome.sleepCount }),
    ...parsed,
  };
  if (step.row === "missing") {
    write.createStepExecution(
      markChecked({
        ...rowIdentity(runId, planned, startedAt ?? now),
        attemptOffset: step.attemptOffset,
        ...(parsed ?? inputColumns(input)),
        ...changes,
      }),
    );
  } else write.updateStepExecution(runId, stepId, markChecked(changes));
  if (outcome.status === "COMPLETED") {
    write.saveStepOutput(runId, stepId, JSON.parse(outcome.text));
  } else if (outcome.status === "FAILED" && continueOnError) {
    write.saveStepOutput(runId, stepId, null);
  }
  // A step that completes in its first attempt is described by its row alone.
  if (error !== null || (outcome.status === "COMPLETED" && attempt > 1)) {
    write.saveStepAttempt({
      runId,
      stepId,
      attempt,
      status: outcome.status === "COMPLETED" ? "COMPLETED" : "FAILED",
      error,
      workerId: fence.workerId,
      startedAt: step.attemptStartedAt,
      completedAt: now,
    });
  }
}

/** The input that the step's schema made, if it differs from the stage's and the row does not have it. */
function parsedColumn(
  { parsedInput, isInputStored }: StepRun,
  { text }: StageInput,
): { readonly input: unknown } | undefined {
  if (parsedInput === null || parsedInput === text || isInputStored) return undefined;
  return { input: JSON.parse(parsedInput) };
}

/** The columns of a stage's input. An input that consists of stored outputs is stored as a reference. */
export function inputColumns({ text, from }: StageInput) {
  return from === null ? { input: JSON.parse(text) as unknown } : { inputFrom: from };
}

function rowIdentity(runId: string, { index, definition }: PlannedStep, createdAt: Date) {
  return { runId, stepId: definition.id, executionIndex: index, createdAt };
}
