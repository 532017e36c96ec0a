import type { FenceOptions, OperationOptions } from "./options.ts";

export interface OutputStore {
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
  loadStepOutput(runId: string, stepId: string, options?: OperationOptions): Promise<unknown>;
}
