import type { FenceOptions, OperationOptions, RevisionOptions } from "./options.ts";

export interface StateEntry {
  readonly value: unknown;
  /** 1 for the first value, one more for each save. */
  readonly revision: number;
  readonly updatedAt: Date;
}

export interface StateStore {
  /**
   * Stores the value under the key and returns its new revision.
   *
   * With `expectedRevision` only if the key is at that revision; 0 stands for "must not exist yet".
   *
   * @throws {RunNotFoundError} {LeaseLostError} {RevisionConflictError} checked in this order.
   * @throws {InvalidValueError}
   */
  saveState(
    runId: string,
    key: string,
    value: unknown,
    options?: RevisionOptions,
  ): Promise<{ revision: number }>;

  /** @throws {StateNotFoundError} {CorruptRowError} */
  loadState(runId: string, key: string, options?: OperationOptions): Promise<unknown>;

  /** @throws {StateNotFoundError} {CorruptRowError} */
  loadStateEntry(runId: string, key: string, options?: OperationOptions): Promise<StateEntry>;

  /**
   * Removes the key; what is not there stays away, and that is fine.
   *
   * @throws {LeaseLostError} when `workerId` is given and does not hold the run.
   */
  deleteState(runId: string, key: string, options?: FenceOptions): Promise<void>;

  /** Every key with its value; an empty object for an unknown run. @throws {CorruptRowError} */
  getAllState(runId: string, options?: OperationOptions): Promise<Record<string, unknown>>;
}
