import { markChecked } from "../../arguments.ts";
import {
  durationBetween,
  type RunChanges,
  type StepExecutionChanges,
} from "../../model/changes.ts";
import { decodeJson } from "../../json.ts";
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

/** A step that has ended or continues later. */
export interface Settled {
  readonly step: StepRun;
  readonly outcome: Outcome;
}

/** A change of a run. It is stored in one commit. */
export interface RunEvent {
  /** The number of steps that completed, were skipped, or failed with `continueOnError`. */
  readonly endedSteps: number;
  /** Steps of the stage and before it that do not run because of their conditions. */
  readonly passed?: readonly PassedStep[];
  readonly stage?: StageRun;
  /** Steps of the stage that have begun but whose rows do not say so yet. */
  readonly begun?: readonly StepRun[];
  readonly settled?: Settled;
  readonly next?: StageRun;
  readonly result?: RunResult;
  /** Set if the run is released. No worker claims it before `wakeAt`. */
  readonly released?: { readonly wakeAt: Date | null };
}

interface Target {
  readonly write: BatchWriter;
  readonly runId: string;
  readonly workerId: string;
  readonly now: Date;
}

/**
 * Writes an event. The update of the run comes first, because its fence guards the whole batch. It also increments the
 * run's revision, so that watchers notice every event.
 */
export function writeEvent(
  write: BatchWriter,
  { run, workflow, fence, clock }: Pick<ClaimedRun, "run" | "workflow" | "fence" | "clock">,
  event: RunEvent,
): void {
  const { runId } = run;
  const { stage, settled, next } = event;
  const target: Target = { write, runId, workerId: fence.workerId, now: clock() };
  // The engine made these arguments, so the store need not check them.
  const changes = markChecked(runChanges(workflow.plan.stepIds.size, event));
  write.updateRun(runId, changes, markChecked(fence));
  for (const step of event.passed ?? []) writePassed(target, step);
  if (stage !== undefined) {
    if (settled) writeOutcome(target, stage.input, settled);
    for (const step of event.begun ?? []) {
      if (step !== settled?.step) writeBegun(target, stage.input, step);
    }
  }
  if (next) for (const step of next.steps) writeBegun(target, next.input, step);
}

function runChanges(totalSteps: number, { endedSteps, result, released }: RunEvent): RunChanges {
  if (result?.status === "COMPLETED") return { ...result, progress: 1 };
  const progress = Math.min(endedSteps, totalSteps - 1) / totalSteps;
  if (released !== undefined) return { progress, status: "PENDING", wakeAt: released.wakeAt };
  return { ...result, progress };
}

function writePassed(
  { write, runId, now }: Target,
  { planned, input, status, error, hasRow }: PassedStep,
): void {
  const { id: stepId, continueOnError, otherwise } = planned.definition;
  const changes = { ...inputColumns(input), status, error, completedAt: now };
  if (hasRow) write.updateStepExecution(runId, stepId, markChecked(changes));
  else write.createStepExecution(markChecked({ ...rowIdentity(runId, planned, now), ...changes }));
  if (status === "FAILED" && continueOnError) write.saveStepOutput(runId, stepId, null);
  if (status === "SKIPPED" && otherwise !== null) {
    write.saveStepOutput(runId, stepId, decodeJson(otherwise));
  }
}

function writeBegun({ write, runId, now }: Target, input: StageInput, step: StepRun): void {
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
    // In the first attempt after the run was reopened, the row still describes the earlier end of the step.
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
  { write, runId, workerId, now }: Target,
  input: StageInput,
  { step, outcome }: Settled,
): void {
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
    write.saveStepOutput(runId, stepId, decodeJson(outcome.text));
  } else if (outcome.status === "FAILED" && continueOnError) {
    write.saveStepOutput(runId, stepId, null);
  }
  // A step that completes in its first attempt has no row in `step_attempts`.
  if (error !== null || (outcome.status === "COMPLETED" && attempt > 1)) {
    write.saveStepAttempt({
      runId,
      stepId,
      attempt,
      status: outcome.status === "COMPLETED" ? "COMPLETED" : "FAILED",
      error,
      workerId,
      startedAt: step.attemptStartedAt,
      completedAt: now,
    });
  }
}

export function newRow(
  runId: string,
  { planned, attempt, attemptOffset, startedAt: begunAt }: StepRun,
  input: InputColumns,
  now: Date,
): NewStepExecution {
  const { index, definition } = planned;
  const startedAt = begunAt ?? now;
  return {
    runId,
    stepId: definition.id,
    executionIndex: index,
    status: "RUNNING",
    attempt,
    attemptOffset,
    createdAt: startedAt,
    startedAt,
    ...input,
  };
}

/** The parsed input if it differs from the stage's input and is not in the row yet. */
function parsedColumn(
  { parsedInput, isInputStored }: StepRun,
  { text }: StageInput,
): { readonly input: unknown } | undefined {
  if (parsedInput === null || parsedInput === text || isInputStored) return undefined;
  return { input: decodeJson(parsedInput) };
}

type InputColumns = { readonly input: unknown } | { readonly inputFrom: string | string[] };

function stepInputColumns(step: StepRun, input: StageInput): InputColumns {
  return parsedColumn(step, input) ?? inputColumns(input);
}

/** The columns for a stage's input. An input that consists of stored outputs becomes a reference. */
export function inputColumns({ text, from }: StageInput): InputColumns {
  return from === null ? { input: decodeJson(text) } : { inputFrom: from };
}

function rowIdentity(runId: string, { index, definition }: PlannedStep, createdAt: Date) {
  return { runId, stepId: definition.id, executionIndex: index, createdAt };
}
