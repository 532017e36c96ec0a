import { markChecked } from "../../arguments.ts";
import {
  durationBetween,
  type RunChanges,
  type StepExecutionChanges,
} from "../../model/changes.ts";
import type { NewStepExecution } from "../../schema/rows.ts";
import type { BatchWriter } from "../../store/batches.ts";
import type { PlannedStep } from "../definition/workflow-plan.ts";
import type { ClaimedRun } from "./run-scope.ts";
import {
  isWaiting,
  type Outcome,
  type PassedStep,
  type RunResult,
  type StageInput,
  type StageRun,
  type StepRun,
} from "./stage-run.ts";

/** A step of the stage that has ended, or continues later. */
export interface Settled {
  readonly step: StepRun;
  readonly outcome: Outcome;
}

/** A change of a run that is stored in one commit. */
export interface RunEvent {
  /** The steps of the run that completed, were skipped, or failed with `continueOnError`. */
  readonly endedSteps: number;
  /** Steps before the stage that do not run. */
  readonly passed?: readonly PassedStep[];
  /** The current stage. */
  readonly stage?: StageRun;
  /** Steps of the stage that have begun, which their rows do not say yet. */
  readonly begun?: readonly StepRun[];
  readonly settled?: Settled;
  /** The next stage, which begins with this event. */
  readonly next?: StageRun;
  readonly result?: RunResult;
  /** The run is released: no worker claims it before `wakeAt`. */
  readonly released?: { readonly wakeAt: Date | null };
}

type Author = Pick<ClaimedRun, "run" | "workflow" | "fence" | "clock">;

/**
 * The writes of an event. The change of the run comes first: its fence guards the whole batch. Every event changes the
 * run's revision, so watchers see that something happened.
 */
export function writeEvent(write: BatchWriter, author: Author, event: RunEvent): void {
  const { run, workflow, fence, clock } = author;
  const { runId } = run;
  const { stage, settled, next } = event;
  const now = clock();
  // The engine made all these arguments: the store need not check them again.
  write.updateRun(runId, markChecked(runChanges(workflow.plan.stepIds.size, event)), fence);
  for (const step of event.passed ?? []) writePassed(write, runId, step, now);
  if (stage !== undefined) {
    if (settled) writeOutcome(write, author, stage.input, settled, now);
    for (const step of event.begun ?? []) {
      if (step !== settled?.step) writeBegun(write, runId, stage.input, step, now);
    }
  }
  if (next) for (const step of next.steps) writeBegun(write, runId, next.input, step, now);
}

function runChanges(totalSteps: number, { endedSteps, result, released }: RunEvent): RunChanges {
  const progress = endedSteps / totalSteps;
  if (released !== undefined) return { progress, status: "PENDING", wakeAt: released.wakeAt };
  if (result === undefined) return { progress };
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
  if (step.row === "missing") {
    write.createStepExecution(markChecked(newRow(runId, step, stepInputColumns(step, input), now)));
    return;
  }
  const changes: StepExecutionChanges = {
    status: "RUNNING",
    attempt,
    wakeAt: null,
    ...parsedColumn(step, input),
    // The first attempt after the run was reopened: the row describes the step's earlier end.
    ...(attempt === attemptOffset + 1 && {
      ...stepInputColumns(step, input),
      attemptOffset,
      sleepCount,
      error: null,
      startedAt: step.startedAt ?? now,
      completedAt: null,
      durationMs: null,
    }),
  };
  write.updateStepExecution(runId, planned.definition.id, markChecked(changes));
}

function writeOutcome(
  write: BatchWriter,
  { run, fence }: Author,
  input: StageInput,
  { step, outcome }: Settled,
  now: Date,
): void {
  const { runId } = run;
  const { planned, attempt, startedAt } = step;
  const { id: stepId, continueOnError } = planned.definition;
  const isLater = isWaiting(outcome);
  const completedAt = isLater ? null : now;
  const error = "failure" in outcome ? outcome.failure : null;
  const changes: StepExecutionChanges = {
    status: outcome.status === "SLEEPING" ? "RUNNING" : outcome.status,
    attempt,
    error,
    startedAt,
    completedAt,
    durationMs: durationBetween(startedAt, completedAt),
    ...(isLater && { wakeAt: outcome.until, ...parsedColumn(step, input) }),
    ...(!isLater && step.notBefore !== null && { wakeAt: null }),
    ...(outcome.status === "SLEEPING" && { sleepCount: outcome.sleepCount }),
  };
  if (step.row === "missing") {
    const columns = isLater ? stepInputColumns(step, input) : inputColumns(input);
    write.createStepExecution(markChecked({ ...newRow(runId, step, columns, now), ...changes }));
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

/** The row of a step that has none yet: its attempt is under way. */
export function newRow(
  runId: string,
  { planned, attempt, attemptOffset, startedAt: begunAt }: StepRun,
  input: InputColumns,
  now: Date,
): NewStepExecution {
  const startedAt = begunAt ?? now;
  const identity = rowIdentity(runId, planned, startedAt);
  return { ...identity, ...input, status: "RUNNING", attempt, attemptOffset, startedAt };
}

/** The input that the step's schema made, if it differs from the stage's and the row does not have it. */
function parsedColumn(
  { parsedInput, isInputStored }: StepRun,
  { text }: StageInput,
): { readonly input: unknown } | undefined {
  if (parsedInput === null || parsedInput === text || isInputStored) return undefined;
  return { input: JSON.parse(parsedInput) };
}

type InputColumns = { readonly input: unknown } | { readonly inputFrom: string | string[] };

function stepInputColumns(step: StepRun, input: StageInput): InputColumns {
  return parsedColumn(step, input) ?? inputColumns(input);
}

/** The columns of a stage's input. An input that consists of stored outputs is stored as a reference. */
export function inputColumns({ text, from }: StageInput): InputColumns {
  return from === null ? { input: JSON.parse(text) } : { inputFrom: from };
}

function rowIdentity(runId: string, { index, definition }: PlannedStep, createdAt: Date) {
  return { runId, stepId: definition.id, executionIndex: index, createdAt };
}
