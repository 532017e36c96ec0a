import type { RunChanges, StepExecutionChanges } from "../model/changes.ts";
import type { NewStepAttempt, NewStepExecution, NewWorkflowRun } from "../schema/rows.ts";
import type {
  CreateRunOptions,
  ExpectedRevisionOptions,
  FenceOptions,
  OperationOptions,
  RevisionOptions,
} from "./options.ts";

type WriteFence = Omit<FenceOptions, "signal">;
type WriteRevision = Omit<RevisionOptions, "signal">;

/** Collects the writes of a batch. Each is checked like the operation of the same name, after the previous ones. */
export interface BatchWriter {
  createRun(run: Readonly<NewWorkflowRun>, options?: Omit<CreateRunOptions, "signal">): void;
  updateRun(runId: string, changes: RunChanges, options?: WriteRevision): void;
  deleteRun(runId: string, options?: Omit<ExpectedRevisionOptions, "signal">): void;
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
  /**
   * The batch takes effect only while this run is RUNNING and this worker holds it. `attempt` restricts that to one
   * claim of the worker.
   */
  readonly fence?:
    | {
        readonly runId: string;
        readonly workerId: string;
        readonly attempt?: number | undefined;
      }
    | undefined;
  /**
   * The batch takes effect only while each of these runs has this revision. A batch can therefore depend on what was
   * read, even in a store without transactions.
   */
  readonly expectedRevisions?:
    | readonly { readonly runId: string; readonly revision: number }[]
    | undefined;
}

export interface BatchStore {
  /**
   * Executes all writes or none, in one commit or one round trip.
   *
   * `collect` only records the writes. It must be synchronous. If a precondition of a write fails (a missing row, a
   * lost lease, a revision, a transition), nothing is written, and the call rejects with the error of that write.
   *
   * @throws {RunNotFoundError} if a run of the options does not exist. Checked first.
   * @throws {LeaseLostError} if the fence does not hold. Checked first.
   * @throws {RevisionConflictError} if a run is not at its expected revision. Checked before the writes.
   */
  batch(collect: (write: BatchWriter) => void, options?: BatchOptions): Promise<void>;
}
