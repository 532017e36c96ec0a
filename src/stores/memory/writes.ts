import {
  RunAlreadyExistsError,
  RunNotFoundError,
  StepExecutionAlreadyExistsError,
  StepExecutionNotFoundError,
} from "../../errors.ts";
import { attemptKey, compareSteps } from "../../model/bundles.ts";
import {
  durationBetween,
  keptLostLeases,
  keptProgress,
  planReopen,
  planRestart,
  reopenedDeadline,
} from "../../model/changes.ts";
import type { BatchDemands } from "../../model/options.ts";
import { completeNewStep } from "../../model/new-rows.ts";
import {
  checkFence,
  checkReopen,
  checkRestart,
  checkRevision,
  checkRunUpdate,
  checkStateRevision,
  checkStepUpdate,
  isFinalStepStatus,
  type Fence,
} from "../../model/transitions.ts";
import { rowCodecs as codecs } from "../../schema/row-codecs.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { WriteName, WritePlanner } from "../checked-writes.ts";
import type { Restart, ResultOf } from "../operations.ts";
import { decodeStep, readRun, readSummary } from "./reads.ts";
import type { RunRow, Tables } from "./tables.ts";

/**
 * A write whose arguments are encoded. It changes nothing if it throws. It returns a function that decodes the result,
 * because batches do not need the results.
 */
type PlannedWrite<T> = (tables: Tables) => () => T;

export type PlannedWrites = { [Name in WriteName]: PlannedWrite<ResultOf<Name>> };

const nothing = () => undefined;

export const writes: WritePlanner<PlannedWrites> = {
  createRun(run, _isGenerated, holder) {
    const row = codecs.run.encode(run);
    const { runId, workflowId, idempotencyKey } = row;
    return (tables) => {
      const existing =
        idempotencyKey === null
          ? undefined
          : tables.findByIdempotencyKey(workflowId, idempotencyKey);
      const isThere = tables.getRun(runId) !== undefined;
      if (existing !== undefined) {
        const isTaken =
          !isThere && existing.runId === holder?.runId && existing.revision === holder.revision;
        if (!isTaken) return () => readRun(existing);
        changeRun(tables, existing, { idempotencyKey: null, updatedAt: holder.now.getTime() });
      }
      if (isThere) throw new RunAlreadyExistsError({ runId });
      tables.putRun(row);
      return () => readRun(row);
    };
  },

  updateRun(runId, { set, setOnce }, demands) {
    const encoded = codecs.run.encode(set);
    const encodedOnce = codecs.run.encode(setOnce);
    return (tables) => {
      const run = requireRun(tables, runId);
      checkRunUpdate(run, set.status, demands);
      const lostLeases = keptLostLeases(run, set.progress);
      const once = unset(run, encodedOnce);
      const changed = changeRun(tables, run, { lostLeases, ...encoded, ...once });
      return () => readSummary(changed);
    };
  },

  reopenRun(runId, now, expectedRevision) {
    const encoded = codecs.run.encode(planReopen(now));
    return (tables) => {
      const run = requireRun(tables, runId);
      checkReopen(run, expectedRevision);
      cancelOpenSteps(tables, runId, now.getTime());
      const deadlineAt = reopenedDeadline(run.timeoutMs, now)?.getTime() ?? null;
      const changed = changeRun(tables, run, { ...encoded, deadlineAt });
      return () => readSummary(changed);
    };
  },

  deleteRun: (runId, expectedRevision) => (tables) => {
    const run = tables.getRun(runId);
    if (run !== undefined) checkRevision(run, expectedRevision);
    tables.deleteRun(runId);
    return () => run !== undefined;
  },

  createStepExecution(step) {
    const { runId, stepId } = step;
    const row = codecs.steps.encode(step);
    return (tables) => {
      requireRun(tables, runId);
      if (tables.children("steps", runId).get(stepId) !== undefined) {
        throw new StepExecutionAlreadyExistsError({ runId, stepId });
      }
      tables.changeableChildren("steps", runId).set(stepId, row);
      return () => decodeStep(tables, row);
    };
  },

  updateStepExecution({ runId, stepId }, { set, setOnce, computeDuration }, { fence }) {
    const encoded = codecs.steps.encode(set);
    const encodedOnce = codecs.steps.encode(setOnce);
    return (tables) => {
      const row = tables.children("steps", runId).get(stepId);
      if (row === undefined) throw new StepExecutionNotFoundError({ runId, stepId });
      requireHeldRun(tables, runId, fence);
      checkStepUpdate(row, set.status);
      const updated = { ...row, ...encoded, ...unset(row, encodedOnce) };
      if (computeDuration) {
        updated.durationMs = durationBetween(updated.startedAt, updated.completedAt);
      }
      tables.changeableChildren("steps", runId).set(stepId, updated);
      return () => decodeStep(tables, updated);
    };
  },

  saveStepAttempt(attempt, { fence }) {
    const row = codecs.attempts.encode(attempt);
    return (tables) => {
      requireHeldRun(tables, row.runId, fence);
      tables.changeableChildren("attempts", row.runId).set(attemptKey(row), row);
      return nothing;
    };
  },

  saveStepOutput(output, { fence }) {
    const row = codecs.outputs.encode(output);
    return (tables) => {
      requireHeldRun(tables, row.runId, fence);
      const outputs = tables.changeableChildren("outputs", row.runId);
      const createdAt = outputs.get(row.stepId)?.createdAt ?? row.createdAt;
      outputs.set(row.stepId, { ...row, createdAt });
      return nothing;
    };
  },

  saveState(entry, { expectedRevision, fence }) {
    const row = codecs.state.encode(entry);
    const { runId, key } = row;
    return (tables) => {
      const run = requireHeldRun(tables, runId, fence);
      const current = tables.children("state", runId).get(key)?.revision ?? 0;
      checkStateRevision({ runId, key }, current, expectedRevision);
      // The revisions of a deleted key are not used again.
      const revision = (current === 0 ? run.stateRevision : current) + 1;
      tables.changeableChildren("state", runId).set(key, { ...row, revision });
      return () => ({ revision });
    };
  },

  deleteState:
    ({ runId, key }, { fence }) =>
    (tables) => {
      if (fence !== null) requireHeldRun(tables, runId, fence);
      const run = tables.getRun(runId);
      const row = tables.children("state", runId).get(key);
      if (run === undefined || row === undefined) return nothing;
      const stateRevision = Math.max(run.stateRevision, row.revision);
      tables.putRun({ ...run, stateRevision });
      tables.changeableChildren("state", runId).delete(key);
      return nothing;
    },

  pauseWorkflow(pause) {
    const row = codecs.pauses.encode(pause);
    return ({ pauses }) => {
      const isPaused = pauses.get(row.workflowId) !== undefined;
      if (!isPaused) pauses.set(row.workflowId, row);
      return () => !isPaused;
    };
  },

  resumeWorkflow:
    (workflowId) =>
    ({ pauses }) => {
      const isPaused = pauses.get(workflowId) !== undefined;
      pauses.delete(workflowId);
      return () => isPaused;
    },
};

/** Reopens a run with a step as if it were new, and without those after it. */
export function restartRun(
  tables: Tables,
  { runId, fromStep, expectedRevision, now }: Restart,
): WorkflowRunSummary {
  const run = requireRun(tables, runId);
  checkRestart(run, expectedRevision);
  const rows = [...tables.children("steps", runId)].map(([, row]) => row);
  const first = rows.find(({ stepId }) => stepId === fromStep);
  if (first === undefined) throw new StepExecutionNotFoundError({ runId, stepId: fromStep });
  cancelOpenSteps(tables, runId, now.getTime());
  const dropped = new Set(
    rows.filter((row) => compareSteps(row, first) >= 0).map(({ stepId }) => stepId),
  );
  for (const table of ["steps", "attempts", "outputs"] as const) {
    const children = tables.changeableChildren(table, runId);
    const left = [...children].filter(([, { stepId }]) => dropped.has(stepId));
    for (const [key] of left) children.delete(key);
  }
  const { executionIndex } = first;
  const step = completeNewStep({ runId, stepId: fromStep, executionIndex }, now);
  tables.changeableChildren("steps", runId).set(fromStep, codecs.steps.encode(step));
  const changed = changeRun(tables, run, {
    ...codecs.run.encode(planRestart(now)),
    progress: keptProgress(run.progress, rows.length - dropped.size, rows.length),
    deadlineAt: reopenedDeadline(run.timeoutMs, now)?.getTime() ?? null,
  });
  return readSummary(changed);
}

/** Cancels the open steps of a run and their running attempts. */
function cancelOpenSteps(tables: Tables, runId: string, now: number): void {
  const rows = [...tables.children("steps", runId)].map(([, row]) => row);
  for (const row of rows.filter(({ status }) => !isFinalStepStatus(status))) {
    const { stepId, attempt, attemptOffset, startedAt } = row;
    const key = attemptKey({ stepId, attempt });
    if (row.status === "RUNNING" && tables.children("attempts", runId).get(key) === undefined) {
      tables.changeableChildren("attempts", runId).set(key, {
        runId,
        stepId,
        attempt,
        status: "CANCELLED",
        error: null,
        workerId: null,
        startedAt: attempt === attemptOffset + 1 ? startedAt : null,
        completedAt: now,
      });
    }
    tables.changeableChildren("steps", runId).set(stepId, {
      ...row,
      status: "CANCELLED",
      wakeAt: null,
      completedAt: now,
      updatedAt: now,
      durationMs: durationBetween(startedAt, now),
    });
  }
}

/** @throws {RunNotFoundError} if the run does not exist. */
export function requireRun(tables: Tables, runId: string): RunRow {
  const run = tables.getRun(runId);
  if (run === undefined) throw new RunNotFoundError({ runId });
  return run;
}

/**
 * @throws {RunNotFoundError} if the run does not exist.
 * @throws {LeaseLostError} if the fence does not hold.
 */
function requireHeldRun(tables: Tables, runId: string, fence: Fence | null): RunRow {
  const run = requireRun(tables, runId);
  checkFence(run, fence);
  return run;
}

/**
 * @throws {RunNotFoundError} if a run of the batch does not exist.
 * @throws {LeaseLostError} if its fence does not hold.
 * @throws {RevisionConflictError} if a run is not at its expected revision.
 */
export function checkDemands(
  tables: Tables,
  { fence, expectedRevisions = [] }: BatchDemands,
): void {
  if (fence !== undefined) requireHeldRun(tables, fence.runId, fence);
  for (const { runId, revision } of expectedRevisions) {
    checkRevision(requireRun(tables, runId), revision);
  }
}

/** Replaces some columns of a run, increments its revision, and returns the new row. */
export function changeRun(tables: Tables, run: RunRow, changes: Partial<RunRow>): RunRow {
  const changed = { ...run, ...changes, revision: run.revision + 1 };
  tables.putRun(changed);
  return changed;
}

/** The columns of `setOnce` that are null in the row. */
export function unset<Row extends object>(row: Row, setOnce: Partial<Row>): Partial<Row> {
  const missing: Partial<Row> = {};
  for (const name in setOnce) if (row[name] === null) missing[name] = setOnce[name];
  return missing;
}
