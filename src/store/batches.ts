import type { RunChanges, StepExecutionChanges } from "../model/changes.ts";
import type { NewStepAttempt, NewStepExecution, NewWorkflowRun } from "../schema/rows.ts";
import type { OperationOptions } from "./options.ts";

/** The writes of one batch. Each is checked as the operation of the same name, after those before it. */
export interface BatchWriter {
  createRun(run: Readonly<NewWorkflowRun>): void;
  updateRun(
    runId: string,
    changes: RunChanges,
    options?: {
      readonly expectedRevision?: number | undefined;
      readonly workerId?: string | undefined;
    },
  ): void;
  deleteRun(runId: string): void;
  createStepExecution(step: Readonly<NewStepExecution>): void;
  updateStepExecution(
    runId: string,
    stepId: string,
    changes: StepExecutionChanges,
    options?: { readonly workerId?: string | undefined },
  ): void;
  saveStepAttempt(
    attempt: Readonly<NewStepAttempt>,
    options?: { readonly workerId?: string | undefined },
  ): void;
  saveStepOutput(
    runId: string,
    stepId: string,
    output: unknown,
    options?: { readonly workerId?: string | undefined },
  ): void;
  saveState(
    runId: string,
    key: string,
    value: unknown,
    options?: {
      readonly expectedRevision?: number | undefined;
      readonly workerId?: string | undefined;
    },
  ): void;
  deleteState(
    runId: string,
    key: string,
    options?: { readonly workerId?: string | undefined },
  ): void;
}

export interface BatchOptions extends OperationOptions {
  /** The whole batch takes place only while this worker holds this run. */
  readonly fence?: { readonly runId: string; readonly workerId: string } | undefined;
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
