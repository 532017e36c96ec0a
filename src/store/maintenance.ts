import type { PrunePolicy, PruneReport } from "../model/retention.ts";
import type { RunStatus } from "../statuses.ts";
import type { OperationOptions } from "./options.ts";

export interface StoreStats {
  readonly rows: {
    readonly workflowRuns: number;
    readonly stepExecutions: number;
    readonly stepAttempts: number;
    readonly stepOutputs: number;
    readonly workflowState: number;
  };
  readonly runs: Record<RunStatus, number>;
  /** The size of the database; null if the store cannot know it. */
  readonly bytes: number | null;
  /** The part of `bytes` that is free for new rows; null if the store cannot know it. */
  readonly freeBytes: number | null;
  readonly oldestRunAt: Date | null;
  readonly newestRunAt: Date | null;
}

export interface MaintenanceStore {
  /**
   * Deletes the runs that match the policy, in small transactions. Also deletes rows whose run no longer exists.
   *
   * @throws {InvalidArgumentError} if the policy is invalid. Nothing is deleted.
   */
  pruneRuns(policy: PrunePolicy): Promise<PruneReport>;

  /** Counts rows and runs, and measures the database. Reads every run. */
  stats(options?: OperationOptions): Promise<StoreStats>;
}
