import type { StepExecutionChanges } from "../model/changes.ts";
import type { WorkflowJson } from "../schema/json-types.ts";
import type { NewStepExecution, StepOf } from "../schema/rows.ts";
import type { FenceOptions, OperationOptions, ReadOptions } from "./options.ts";

export interface StepStore<Json extends WorkflowJson = WorkflowJson> {
  /**
   * Stores a new step execution and returns it.
   *
   * @throws {RunNotFoundError} if the run does not exist.
   * @throws {StepExecutionAlreadyExistsError} if the run has an execution of this step.
   * @throws {InvalidArgumentError} if a field is invalid.
   * @throws {InvalidValueError} if a value cannot be stored as JSON.
   */
  createStepExecution(
    step: Readonly<NewStepExecution>,
    options?: OperationOptions,
  ): Promise<StepOf<Json>>;

  /**
   * Returns the step execution.
   *
   * @throws {StepExecutionNotFoundError} if it does not exist.
   * @throws {CorruptRowError} if it cannot be read.
   */
  getStepExecution(
    runId: string,
    stepId: string,
    options?: OperationOptions,
  ): Promise<StepOf<Json>>;

  /**
   * Returns the step execution, or null if it does not exist.
   *
   * @throws {CorruptRowError} if it cannot be read.
   */
  findStepExecution(
    runId: string,
    stepId: string,
    options?: OperationOptions,
  ): Promise<StepOf<Json> | null>;

  /**
   * Changes the given columns, keeps all others, sets `updatedAt`, and returns the step.
   *
   * Unless `changes` has them, the first RUNNING sets `startedAt`, and a final status sets `completedAt`. `durationMs`
   * is `max(0, completedAt − startedAt)`, or null if the step never started. Preconditions are checked in the order
   * below.
   *
   * @throws {StepExecutionNotFoundError} if the step does not exist.
   * @throws {LeaseLostError} if the fence does not hold.
   * @throws {StepTransitionError} if the step is COMPLETED or SKIPPED.
   */
  updateStepExecution(
    runId: string,
    stepId: string,
    changes: StepExecutionChanges,
    options?: FenceOptions,
  ): Promise<StepOf<Json>>;

  /**
   * Returns the steps of the run by `executionIndex`, then `stepId`. Empty for an unknown run. With `payloads: false`
   * the steps have no `input`.
   *
   * @throws {CorruptRowError} if one of them cannot be read.
   */
  listStepExecutions(
    runId: string,
    options?: ReadOptions & { readonly payloads?: true | undefined },
  ): Promise<StepOf<Json>[]>;
  listStepExecutions(
    runId: string,
    options: ReadOptions & { readonly payloads: false },
  ): Promise<Omit<StepOf<Json>, "input">[]>;
  listStepExecutions(
    runId: string,
    options?: ReadOptions,
  ): Promise<StepOf<Json>[] | Omit<StepOf<Json>, "input">[]>;
}
