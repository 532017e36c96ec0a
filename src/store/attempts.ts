import type { NewStepAttempt, StepAttempt } from "../schema/rows.ts";
import type { FenceOptions, OperationOptions } from "./options.ts";

export interface AttemptStore {
  /**
   * Stores the outcome of an attempt. Replaces an earlier record of the same attempt.
   *
   * @throws {RunNotFoundError} if the run does not exist.
   * @throws {LeaseLostError} if the fence does not hold.
   * @throws {InvalidArgumentError} if a field is invalid.
   * @throws {InvalidValueError} if `error` cannot be stored as JSON.
   */
  saveStepAttempt(attempt: Readonly<NewStepAttempt>, options?: FenceOptions): Promise<void>;

  /**
   * Returns the stored attempts of the run, by `stepId` (UTF-8 bytes), then `attempt`. Empty for an unknown run.
   *
   * @throws {CorruptRowError} if one of them cannot be read.
   */
  listStepAttempts(runId: string, options?: OperationOptions): Promise<StepAttempt[]>;
}
