import { retryDelayMs } from "../../model/backoff.ts";
import type { StepExecution } from "../../schema/rows.ts";
import type { PlannedStep, StepInWorkflow, WorkflowPlan } from "../definition/workflow-plan.ts";
import { StepRun } from "./stage-run.ts";

export type StepRows = ReadonlyMap<string, StepExecution>;

/** The point at which a run resumes. */
export interface Resumption {
  /** The index of the current stage; the number of stages if all have ended. */
  readonly stage: number;
  /** The steps of that stage to run. */
  readonly open: readonly StepRun[];
  /** The errors of the steps of that stage whose last attempt has failed, by step id. */
  readonly failed: ReadonlyMap<string, unknown>;
}

type Standing = "ended" | "failed" | "restarts" | "open";

/**
 * Finds where a run with these rows resumes: at the first stage that has not ended. Ended steps never run again. The
 * stages before `from` must have ended.
 *
 * A failed step stays failed while other steps of its stage are open. If none is open, or a reopening makes one restart,
 * the failed steps restart too.
 */
export function findResumption(plan: WorkflowPlan, rows: StepRows, from: number): Resumption {
  for (let index = from; index < plan.stages.length; index++) {
    const steps = plan.stages[index]?.steps ?? [];
    const standings = steps.map(({ definition }) => standingOf(definition, rows));
    if (standings.every((standing) => standing === "ended")) continue;
    const isReopened = standings.includes("restarts") || !standings.includes("open");
    const open: StepRun[] = [];
    const failed = new Map<string, unknown>();
    for (const [position, planned] of steps.entries()) {
      const standing = standings[position];
      const { id } = planned.definition;
      if (standing === "ended") continue;
      if (standing === "failed" && !isReopened) failed.set(id, rows.get(id)?.error);
      else open.push(resumeStep(planned, rows.get(id)));
    }
    return { stage: index, open, failed };
  }
  return { stage: plan.stages.length, open: [], failed: new Map() };
}

function standingOf({ id, continueOnError }: StepInWorkflow, rows: StepRows): Standing {
  switch (rows.get(id)?.status) {
    case "COMPLETED":
    case "SKIPPED":
      return "ended";
    case "FAILED":
      return continueOnError ? "ended" : "failed";
    case "CANCELLED":
    case "PENDING":
      return "restarts";
    default:
      return "open";
  }
}

function resumeStep(planned: PlannedStep, row: StepExecution | undefined): StepRun {
  const step = new StepRun(planned);
  if (row === undefined) return step;
  const { status, attempt, attemptOffset, sleepCount, startedAt, wakeAt, updatedAt } = row;
  const begun = { isUndecided: false, attemptOffset, sleepCount, startedAt };
  switch (status) {
    case "RUNNING":
      return Object.assign(step, begun, {
        attempt: Math.max(1, attempt),
        notBefore: wakeAt,
        row: "current",
        wasAccepted: sleepCount > 0 || attempt > attemptOffset + 1,
      });
    case "RETRYING": {
      // The first version of the schema did not store this time.
      const delayMs = retryDelayMs(planned.definition.retry, attempt - attemptOffset);
      const notBefore = wakeAt ?? new Date(updatedAt.getTime() + delayMs);
      const next = { attempt: attempt + 1, notBefore, row: "earlier", wasAccepted: true };
      return Object.assign(step, begun, next);
    }
    default: {
      // The condition of a step that failed without an attempt has thrown. It is evaluated again.
      const isUndecided = step.isUndecided && attempt === 0;
      const restart = { attempt: attempt + 1, attemptOffset: attempt, row: "earlier" };
      return Object.assign(step, restart, { isUndecided });
    }
  }
}
