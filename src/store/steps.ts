import type { StepExecutionChanges } from "../model/changes.ts";
import type { NewStepExecution, StepExecution } from "../schema/rows.ts";
import type { FenceOptions, OperationOptions } from "./options.ts";

export interface StepStore {
  /** @throws {RunNotFoundError} {StepExecutionAlreadyExistsError} {InvalidArgumentError} {InvalidValueError} */
  createStepExecution(
    step: Readonly<NewStepExecution>,
    options?: OperationOptions,
  ): Promise<StepExecution>;

  /** @throws {StepExecutionNotFoundError} {CorruptRowError} */
  getStepExecution(
    runId: string,
    stepId: string,
    options?: OperationOptions,
  ): Promise<StepExecution>;

  /**
   * Changes the named columns, keeps all others, sets `updatedAt`, and returns the step.
   *
   * The first RUNNING sets `startedAt`, a final status `completedAt`, unless `changes` gives them;
   * `durationMs` follows as `max(0, completedAt − startedAt)`, null when never started.
   *
   * @throws {StepExecutionNotFoundError} {LeaseLostError} {StepTransitionError} checked in this order;
   *   COMPLETED and SKIPPED change no more.
   */
  updateStepExecution(
    runId: string,
    stepId: string,
    changes: StepExecutionChanges,
    options?: FenceOptions,
  ): Promise<StepExecution>;

  /**
   * The run's steps by `executionIndex`, then `stepId`; empty for an unknown run.
   *
   * @throws {CorruptRowError} when one of them cannot be read.
   */
  listStepExecutions(runId: string, options?: OperationOptions): Promise<StepExecution[]>;
}
