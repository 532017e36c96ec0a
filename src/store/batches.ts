import type { RunChanges, StepExecutionChanges } from "../model/changes.ts";
import type { NewStepAttempt, NewStepExecution, NewWorkflowRun } from "../schema/rows.ts";
import type { FenceOptions, OperationOptions, RevisionOptions } from "./options.ts";

type WriteFence = Omit<FenceOptions, "signal">;
type WriteRevision = Omit<RevisionOptions, "signal">;

/** The writes of one batch. Each is checked as the operation of the same name, after those before it. */
export interface BatchWriter {
  createRun(run: Readonly<NewWorkflowRun>): void;
  updateRun(runId: string, changes: RunChanges, options?: WriteRevision): void;
  deleteRun(runId: string): void;
  createStepExecution(step: Readonly<NewStepExecution>): void;
  updateStepExecution(
    runId: string,
    stepId: string,
    changes: StepExecutionChanges,
    options?: WriteFence,
  ): void;
  saveStepAttempt(attempt: Readonly<NewStepAttempt>, options?: WriteFence): void;
  saveStepOutput(runId: string, stepId: string, output: unknown, options?: WriteFence): void;
  saveState(runId: string, key: string, value: unknown, options?: WriteRevision): void;
  deleteState(runId: string, key: string, options?: WriteFence): void;
}

export interface BatchOptions extends OperationOptions {
  /** The whole batch takes place only while this run is RUNNING and this worker holds it: by this claim, with `attempt`. */
  readonly fence?:
    | {
        readonly runId: string;
        readonly workerId: string;
        readonly attempt?: number | undefined;
      }
    | undefined;
}

export interface BatchStore {
  /**
   * Carries out all writes or none: one commit locally, one round trip remotely.
   *
   * `collect` only notes the writes down and must not be asynchronous. A failed precondition of any of them (a
   * missing row, a lost lease, a revision, a transition) undoes all of them and is the error thrown.
   *
   * @throws {LeaseLostError} {RunNotFoundError} for the fence, before anything else.
   */
  batch(collect: (write: BatchWriter) => void, options?: BatchOptions): Promise<void>;
}
