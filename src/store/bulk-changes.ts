import type { BulkOptions, BulkReport } from "../model/bulk-changes.ts";
import type { RunFilter } from "../model/run-queries.ts";

/**
 * Changes of all runs that match a filter, newest first, in small batches. Other writers never wait for long.
 *
 * A run is changed only if it matches when it is written, and runs that are created later are left alone. An
 * interrupted change continues when it is called again, because changed runs do not match any more.
 */
export interface BulkStore {
  /**
   * Makes PENDING and RUNNING runs CANCELLED, as `updateRun` does. `Engine.cancelRuns` also cancels their steps.
   *
   * @throws {InvalidArgumentError} if the filter names another status, or an option is invalid. Nothing is changed.
   */
  cancelRuns(filter: RunFilter<"PENDING" | "RUNNING">, options?: BulkOptions): Promise<BulkReport>;

  /**
   * Makes FAILED and CANCELLED runs PENDING again, as `reopenRun` does.
   *
   * @throws {InvalidArgumentError} if the filter names another status, or an option is invalid. Nothing is changed.
   */
  reopenRuns(filter: RunFilter<"FAILED" | "CANCELLED">, options?: BulkOptions): Promise<BulkReport>;

  /**
   * Deletes runs with their steps, attempts, outputs and state. PENDING and RUNNING runs are deleted only if the filter
   * names their status.
   *
   * @throws {InvalidArgumentError} if the filter or an option is invalid. Nothing is deleted.
   */
  deleteRuns(filter: RunFilter, options?: BulkOptions): Promise<BulkReport>;
}
