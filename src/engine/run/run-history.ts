import { retryDelayMs } from "../../model/backoff.ts";
import type { StepExecution } from "../../schema/rows.ts";
import type { StepDefinition } from "../definition/define-step.ts";
import type { PlannedStep, Stage, WorkflowPlan } from "../definition/workflow-plan.ts";

/** What the rows of a run say of its steps, by step id. */
export type StepRows = ReadonlyMap<
  string,
  Pick<
    StepExecution,
    | "status"
    | "attempt"
    | "attemptOffset"
    | "sleepCount"
    | "wakeAt"
    | "updatedAt"
    | "startedAt"
    | "error"
  >
>;

/** A step that is to be run, from this attempt on. */
interface OpenStep {
  readonly planned: PlannedStep;
  readonly attempt: number;
  readonly attemptOffset: number;
  readonly sleepCount: number;
  /** Null: at once. */
  readonly notBefore: Date | null;
  /** When it was begun for the first time; null when it was not. */
  readonly startedAt: Date | null;
  /** Its row says that it has ended, or has yet to begin. */
  readonly reopened: boolean;
  /** It has a row. */
  readonly stored: boolean;
  /** Its row says that this attempt has begun. */
  readonly shown: boolean;
}

/** Where a run goes on. */
export interface Resumption {
  /** The stage at which it goes on; the number of stages when all of them have ended. */
  readonly stage: number;
  /** The steps of that stage that are to be run. */
  readonly open: readonly OpenStep[];
  /** The steps of that stage that have failed for good, with their errors. */
  readonly failed: ReadonlyMap<string, unknown>;
}

type Standing = "ended" | "failed" | "cancelled" | "open";

/**
 * Where a run with these rows goes on: after the last step that has ended, which is never run again.
 *
 * A failed step of a stage whose other steps are still to be ended stays failed. Where all of the stage has
 * ended and one has failed, or one was cancelled, the run has been reopened: those steps begin anew. The stages
 * before `from` are known to have ended.
 */
export function findResumption(plan: WorkflowPlan, rows: StepRows, from: number): Resumption {
  for (let index = from; index < plan.stages.length; index++) {
    const stage = plan.stages[index];
    if (stage === undefined) break;
    const standings = stage.steps.map((step) => standingOf(step.definition, rows));
    if (standings.every((standing) => standing === "ended")) continue;
    const isReopened = standings.includes("cancelled") || !standings.includes("open");
    const open: OpenStep[] = [];
    const failed = new Map<string, unknown>();
    for (const [position, planned] of stage.steps.entries()) {
      const standing = standings[position];
      const { definition } = planned;
      if (standing === "open" || (standing !== "ended" && isReopened)) {
        open.push(openStep(planned, rows));
      } else if (standing === "failed") {
        failed.set(definition.id, rows.get(definition.id)?.error);
      }
    }
    return { stage: index, open, failed };
  }
  return { stage: plan.stages.length, open: [], failed: new Map() };
}

function standingOf(definition: StepDefinition, rows: StepRows): Standing {
  switch (rows.get(definition.id)?.status) {
    case "COMPLETED":
    case "SKIPPED":
      return "ended";
    case "FAILED":
      return definition.continueOnError ? "ended" : "failed";
    case "CANCELLED":
      return "cancelled";
    default:
      return "open";
  }
}

function openStep(planned: PlannedStep, rows: StepRows): OpenStep {
  const { definition } = planned;
  const row = rows.get(definition.id);
  if (row === undefined) {
    const isNew = {
      reopened: false,
      stored: false,
      shown: false,
      startedAt: null,
      notBefore: null,
    };
    return { planned, attempt: 1, attemptOffset: 0, sleepCount: 0, ...isNew };
  }
  const { attemptOffset, sleepCount, startedAt } = row;
  const begun = {
    planned,
    attemptOffset,
    sleepCount,
    startedAt,
    stored: true,
    shown: true,
    reopened: false,
  };
  switch (row.status) {
    case "RUNNING":
      return { ...begun, attempt: Math.max(1, row.attempt), notBefore: row.wakeAt };
    case "RETRYING": {
      const retry = row.attempt - row.attemptOffset;
      return {
        ...begun,
        shown: false,
        attempt: row.attempt + 1,
        notBefore:
          // The first version of the schema did not have the time.
          row.wakeAt ?? new Date(row.updatedAt.getTime() + retryDelayMs(definition.retry, retry)),
      };
    }
    default:
      return {
        ...begun,
        attempt: row.attempt + 1,
        attemptOffset: row.attempt,
        sleepCount: 0,
        notBefore: null,
        startedAt: null,
        reopened: true,
      };
  }
}

/** Reads the rows of steps that have not been read yet. */
export interface StepReader {
  readonly rows: StepRows;
  read(steps: readonly PlannedStep[]): Promise<void>;
}

/**
 * The stage whose outputs are the input of stage `stage`: skipped ones pass on what they got. Null when that is
 * the input of the run.
 */
export async function findInputStage(
  plan: WorkflowPlan,
  reader: StepReader,
  stage: number,
): Promise<Stage | null> {
  for (let index = stage - 1; index >= 0; index--) {
    const candidate = plan.stages[index];
    if (candidate === undefined) return null;
    // Only what has a condition can have been skipped.
    if (candidate.condition === null) return candidate;
    await reader.read(candidate.steps);
    const isSkipped = candidate.steps.some(
      ({ definition }) => reader.rows.get(definition.id)?.status === "SKIPPED",
    );
    if (!isSkipped) return candidate;
  }
  return null;
}
