import type { JsonOf, WorkflowJson } from "../schema/json-types.ts";
import type { StepOutput } from "../schema/rows.ts";
import type { FenceOptions, OperationOptions } from "./options.ts";

export interface OutputStore<Json extends WorkflowJson = WorkflowJson> {
  /**
   * Stores the output of the step. Replaces an earlier output. `null` is a valid output.
   *
   * @throws {RunNotFoundError} if the run does not exist.
   * @throws {LeaseLostError} if the fence does not hold.
   * @throws {InvalidValueError} if the output cannot be stored as JSON.
   */
  saveStepOutput(
    runId: string,
    stepId: string,
    output: unknown,
    options?: FenceOptions,
  ): Promise<void>;

  /**
   * Returns the stored output.
   *
   * @throws {StepOutputNotFoundError} if the step has no output.
   * @throws {CorruptRowError} if it cannot be read.
   */
  loadStepOutput(
    runId: string,
    stepId: string,
    options?: OperationOptions,
  ): Promise<JsonOf<Json, "StepOutput">>;

  /**
   * Returns the row of the output, or null if the step has none. An output may itself be null.
   *
   * @throws {CorruptRowError} if it cannot be read.
   */
  findStepOutput(
    runId: string,
    stepId: string,
    options?: OperationOptions,
  ): Promise<StepOutput | null>;
}
