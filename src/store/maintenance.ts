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
  /** Size of the whole database; null where the store cannot know. */
  readonly bytes: number | null;
  /** Of `bytes`, what is free for new rows; null where the store cannot know. */
  readonly freeBytes: number | null;
  readonly oldestRunAt: Date | null;
  readonly newestRunAt: Date | null;
}

export interface MaintenanceStore {
  /**
   * Deletes the runs that the policy names, in small batches, and the orphans that somebody left behind.
   *
   * @throws {InvalidArgumentError} that names the field.
   */
  pruneRuns(policy: PrunePolicy): Promise<PruneReport>;

  stats(options?: OperationOptions): Promise<StoreStats>;
}
