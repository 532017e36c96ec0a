import type { NewStepAttempt, StepAttempt } from "../schema/rows.ts";
import type { FenceOptions, OperationOptions } from "./options.ts";

export interface AttemptStore {
  /**
   * Stores how a try of a step ended, in place of an earlier record of the same attempt.
   *
   * @throws {RunNotFoundError} {LeaseLostError} {InvalidArgumentError} {InvalidValueError}
   */
  saveStepAttempt(attempt: Readonly<NewStepAttempt>, options?: FenceOptions): Promise<void>;

  /**
   * The attempts of the run's steps by `stepId` (UTF-8 bytes), then `attempt`; empty for an unknown run.
   *
   * @throws {CorruptRowError} when one of them cannot be read.
   */
  listStepAttempts(runId: string, options?: OperationOptions): Promise<StepAttempt[]>;
}
