import type { FenceOptions, OperationOptions } from "./options.ts";

export interface OutputStore {
  /**
   * Stores what the step returned, in place of an earlier output. `null` is a value.
   *
   * @throws {RunNotFoundError} {LeaseLostError} {InvalidValueError}
   */
  saveStepOutput(
    runId: string,
    stepId: string,
    output: unknown,
    options?: FenceOptions,
  ): Promise<void>;

  /** @throws {StepOutputNotFoundError} {CorruptRowError} */
  loadStepOutput(runId: string, stepId: string, options?: OperationOptions): Promise<unknown>;
}
