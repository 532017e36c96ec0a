import { GorkflowError } from "../errors.ts";
import type { NewStepExecution } from "../schema/rows.ts";
import { unlessAborted } from "./pauses.ts";
import { describeFailure, readable } from "./step-errors.ts";
import { newStepRow, type StageRun, type StepRun } from "./step-run.ts";
import type { ConditionContext, PlannedStep, WorkflowPlan } from "./workflow-plan.ts";

/** How a run ends. */
export type RunResult =
  | { readonly status: "COMPLETED"; readonly output: unknown }
  | { readonly status: "FAILED"; readonly error: unknown };

/** What comes after a stage. */
export interface Entry {
  /** The rows of the steps that were passed over: SKIPPED, or FAILED by their condition. */
  readonly passed: readonly NewStepExecution[];
  /** Of those, the one whose row is there already; null where none is. */
  readonly failedStepId: string | null;
  /** Of those, the ones whose output is null from now on. */
  readonly nullOutputs: readonly string[];
  readonly next: StageRun | RunResult;
}

export interface EntryPosition {
  readonly index: number;
  readonly input: unknown;
  readonly runId: string;
  readonly now: Date;
  /** The step whose condition has failed before, in a run that was reopened since: it has a row. Null where none has. */
  readonly failedStepId: string | null;
  /** Aborts when the run stops here. */
  readonly signal: AbortSignal;
}

/**
 * Finds what runs next, from stage `index` on, with `input` for it. Conditions are asked in order; a step whose
 * condition does not hold passes the input on, one whose condition throws has failed.
 *
 * @throws the store's error, when a condition met one that passes, and the signal's reason, for which no condition
 *   is waited: nothing is decided then.
 */
export async function enterStage(
  plan: WorkflowPlan,
  { index, input, runId, now, failedStepId, signal }: EntryPosition,
  contextOf: (stepId: string) => ConditionContext,
): Promise<Entry> {
  const passed: NewStepExecution[] = [];
  const nullOutputs: string[] = [];
  let value = input;
  for (let at = index; ; at++) {
    const stage = plan.stages[at];
    if (stage === undefined) {
      return entryTo({ status: "COMPLETED", output: value });
    }
    const [step] = stage.steps;
    if (stage.condition === null || step === undefined) {
      return entryTo(beginStage(at));
    }
    try {
      const asking = stage.condition(copyJson(value), contextOf(step.definition.id));
      if (await unlessAborted(asking, signal)) {
        return entryTo(beginStage(at));
      }
      passed.push({ ...passedRow(step), status: "SKIPPED" });
    } catch (caught) {
      signal.throwIfAborted();
      const thrown = readable(caught);
      if (thrown instanceof GorkflowError && thrown.retryable) throw thrown;
      const error = describeFailure(thrown, step.definition.id, 0);
      passed.push({ ...passedRow(step), status: "FAILED", error });
      if (!step.definition.continueOnError) {
        return entryTo({ status: "FAILED", error });
      }
      nullOutputs.push(step.definition.id);
      value = null;
    }
  }

  function entryTo(next: Entry["next"]): Entry {
    return { passed, failedStepId, nullOutputs, next };
  }

  function passedRow(step: PlannedStep): NewStepExecution {
    return { ...newStepRow(runId, step, value, now), completedAt: now };
  }

  function beginStage(at: number): StageRun {
    const stage = plan.stages[at] ?? { parallel: false, steps: [], condition: null };
    const steps = stage.steps.map((planned): StepRun => ({
      planned,
      attempt: 1,
      attemptOffset: 0,
      sleepCount: 0,
      notBefore: null,
      startedAt: null,
      attemptStartedAt: null,
      stored: planned.definition.id === failedStepId,
    }));
    return { index: at, stage, input: value, steps, outputs: new Map(), failures: new Map() };
  }
}

/** A copy of a value that is stored as JSON: a step that changes its input changes nobody else's. */
export function copyJson(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return JSON.parse(JSON.stringify(value));
}
