import type { FenceOptions, OperationOptions, RevisionOptions } from "./options.ts";

export interface StateEntry {
  readonly value: unknown;
  /** 1 for the first value; each save increments it. */
  readonly revision: number;
  readonly updatedAt: Date;
}

export interface StateStore {
  /**
   * Stores the value under the key and returns its new revision. Preconditions are checked in the order below.
   *
   * @throws {RunNotFoundError} if the run does not exist.
   * @throws {LeaseLostError} if the fence does not hold.
   * @throws {RevisionConflictError} if the value is not at `expectedRevision`; 0 requires that the key does not exist.
   * @throws {InvalidValueError} if the value cannot be stored as JSON.
   */
  saveState(
    runId: string,
    key: string,
    value: unknown,
    options?: RevisionOptions,
  ): Promise<{ revision: number }>;

  /**
   * Returns the value of the key.
   *
   * @throws {StateNotFoundError} if the run has no such key.
   * @throws {CorruptRowError} if it cannot be read.
   */
  loadState(runId: string, key: string, options?: OperationOptions): Promise<unknown>;

  /**
   * Returns the value of the key with its revision and time.
   *
   * @throws {StateNotFoundError} if the run has no such key.
   * @throws {CorruptRowError} if it cannot be read.
   */
  loadStateEntry(runId: string, key: string, options?: OperationOptions): Promise<StateEntry>;

  /**
   * Returns what `loadStateEntry` returns, or null if the run has no such key. A value may itself be null.
   *
   * @throws {CorruptRowError} if it cannot be read.
   */
  findState(runId: string, key: string, options?: OperationOptions): Promise<StateEntry | null>;

  /**
   * Deletes the key. Does nothing if it does not exist.
   *
   * @throws {LeaseLostError} if the fence does not hold.
   */
  deleteState(runId: string, key: string, options?: FenceOptions): Promise<void>;

  /**
   * Returns all keys with their values. Empty for an unknown run.
   *
   * @throws {CorruptRowError} if a value cannot be read.
   */
  getAllState(runId: string, options?: OperationOptions): Promise<Record<string, unknown>>;
}
