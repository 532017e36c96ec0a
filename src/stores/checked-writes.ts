import { InvalidArgumentError } from "../errors.ts";
import { parseId } from "../model/arguments.ts";
import {
  planRunUpdate,
  planStepUpdate,
  type RowUpdate,
  type RunChanges,
  type StepExecutionChanges,
} from "../model/changes.ts";
import { completeNewAttempt, completeNewRun, completeNewStep } from "../model/new-rows.ts";
import {
  parseCreateRunOptions,
  parseExpectedRevision,
  parseFenceOptions,
  parseRevisionOptions,
  type FenceDemands,
  type RevisionDemands,
} from "../model/options.ts";
import type {
  NewStepAttempt,
  NewStepExecution,
  NewWorkflowRun,
  StepAttempt,
  StepExecution,
  StepOutput,
  WorkflowPause,
  WorkflowRun,
  WorkflowState,
} from "../schema/rows.ts";
import type { BatchWriter } from "../store/batches.ts";
import type { Clock } from "../store/clock.ts";

/** The writes of one row. Batches may have those of `BatchWriter`. */
export type WriteName = keyof BatchWriter | "reopenRun" | "pauseWorkflow" | "resumeWorkflow";

/** The identity of a step or a state value. */
export type StepKey = Pick<StepExecution, "runId" | "stepId">;
export type StateKey = Pick<WorkflowState, "runId" | "key">;

/** A run that loses its key if it has this revision. */
interface KeyHolder {
  readonly runId: string;
  readonly revision: number;
  readonly now: Date;
}

type Fenced = Pick<FenceDemands, "fence">;

/**
 * Prepares the writes of one kind of store. Arguments are valid, and rows are complete. Values are encoded before the
 * call returns, and nothing is written. `Plans` has the type of each prepared write.
 */
export interface WritePlanner<Plans extends Record<WriteName, unknown>> {
  /** `isGenerated` is true if no other caller can know the run id. `holder` is the run that loses the key. */
  createRun(run: WorkflowRun, isGenerated: boolean, holder: KeyHolder | null): Plans["createRun"];
  updateRun(
    runId: string,
    update: RowUpdate<WorkflowRun>,
    demands: RevisionDemands,
  ): Plans["updateRun"];
  reopenRun(runId: string, now: Date, expectedRevision: number | undefined): Plans["reopenRun"];
  deleteRun(runId: string, expectedRevision: number | undefined): Plans["deleteRun"];
  createStepExecution(step: StepExecution): Plans["createStepExecution"];
  updateStepExecution(
    key: StepKey,
    update: RowUpdate<StepExecution>,
    demands: Fenced,
  ): Plans["updateStepExecution"];
  saveStepAttempt(attempt: StepAttempt, demands: Fenced): Plans["saveStepAttempt"];
  saveStepOutput(output: StepOutput, demands: Fenced): Plans["saveStepOutput"];
  saveState(entry: WorkflowState, demands: RevisionDemands): Plans["saveState"];
  deleteState(key: StateKey, demands: Fenced): Plans["deleteState"];
  pauseWorkflow(pause: WorkflowPause): Plans["pauseWorkflow"];
  resumeWorkflow(workflowId: string): Plans["resumeWorkflow"];
}

/** The writes that batches may have, with the arguments of `BatchWriter`, which are checked. */
export function checkWrites<Plans extends Record<WriteName, unknown>>(
  planner: WritePlanner<Plans>,
  clock: Clock,
) {
  const checked = {
    createRun(run: Readonly<NewWorkflowRun>, options?: unknown) {
      const { takeKeyFrom } = parseCreateRunOptions(options);
      const now = clock();
      const complete = completeNewRun(run, now);
      if (takeKeyFrom !== undefined && complete.idempotencyKey === null) {
        const reason = "needs an `idempotencyKey`";
        throw new InvalidArgumentError({ argument: "options.takeKeyFrom", reason });
      }
      const holder = takeKeyFrom === undefined ? null : { ...takeKeyFrom, now };
      return planner.createRun(complete, run.runId === undefined, holder);
    },

    updateRun(id: string, changes: RunChanges, options?: unknown) {
      const runId = parseId(id, "runId");
      const demands = parseRevisionOptions(options);
      return planner.updateRun(runId, planRunUpdate(changes, clock()), demands);
    },

    deleteRun: (id: string, options?: unknown) =>
      planner.deleteRun(parseId(id, "runId"), parseExpectedRevision(options).expectedRevision),

    createStepExecution: (step: Readonly<NewStepExecution>) =>
      planner.createStepExecution(completeNewStep(step, clock())),

    updateStepExecution(
      run: string,
      step: string,
      changes: StepExecutionChanges,
      options?: unknown,
    ) {
      const key = parseStepKey(run, step);
      const demands = parseFenceOptions(options);
      return planner.updateStepExecution(key, planStepUpdate(changes, clock()), demands);
    },

    saveStepAttempt: (attempt: Readonly<NewStepAttempt>, options?: unknown) =>
      planner.saveStepAttempt(completeNewAttempt(attempt, clock()), parseFenceOptions(options)),

    saveStepOutput(run: string, step: string, output: unknown, options?: unknown) {
      const key = parseStepKey(run, step);
      const demands = parseFenceOptions(options);
      const now = clock();
      return planner.saveStepOutput({ ...key, output, createdAt: now, updatedAt: now }, demands);
    },

    saveState(run: string, key: string, value: unknown, options?: unknown) {
      const entry = parseStateKey(run, key);
      const demands = parseRevisionOptions(options);
      return planner.saveState({ ...entry, value, revision: 1, updatedAt: clock() }, demands);
    },

    deleteState: (run: string, key: string, options?: unknown) =>
      planner.deleteState(parseStateKey(run, key), parseFenceOptions(options)),
  };
  return checked satisfies Record<keyof BatchWriter, unknown>;
}

export function parseStepKey(runId: unknown, stepId: unknown): StepKey {
  return { runId: parseId(runId, "runId"), stepId: parseId(stepId, "stepId") };
}

export function parseStateKey(runId: unknown, key: unknown): StateKey {
  return { runId: parseId(runId, "runId"), key: parseId(key, "key") };
}

/**
 * Returns a function that returns the writes that `collect` makes, in order. They are checked, and nothing is written.
 *
 * The function throws `InvalidArgumentError` if `collect` is asynchronous, or a write is invalid.
 */
export function createBatchCollector<Plan>(writes: {
  readonly [Name in keyof BatchWriter]: (...args: never[]) => Plan;
}): (collect: (write: BatchWriter) => void) => Plan[] {
  /** Each method is a getter, so that a batch creates only those that it uses. */
  class Writer {
    readonly #plans: Plan[];

    constructor(plans: Plan[]) {
      this.#plans = plans;
    }

    static {
      for (const [name, write] of Object.entries(writes)) {
        Object.defineProperty(this.prototype, name, {
          get(this: Writer) {
            return (...args: never[]) => void this.#plans.push(write(...args));
          },
        });
      }
    }
  }

  return (collect) => {
    if (typeof collect !== "function") {
      throw new InvalidArgumentError({ argument: "collect", reason: "must be a function" });
    }
    const plans: Plan[] = [];
    const result: unknown = collect(new Writer(plans) as unknown as BatchWriter);
    if (typeof result === "object" && result !== null && "then" in result) {
      throw new InvalidArgumentError({
        argument: "collect",
        reason: "must not be asynchronous: what it writes later would not be in the batch",
      });
    }
    return plans;
  };
}
