import type { LeaseExtension, LeaseHolder, RunClaim } from "../model/leases.ts";
import type { WorkflowRunSummary } from "../schema/rows.ts";

export interface LeaseStore {
  /**
   * Leases the eligible runs that have waited longest to `workerId` and returns them without payloads, in order.
   *
   * A run of the named versions is eligible if it is PENDING and its `wakeAt` is not in the future, or RUNNING with an
   * expired lease. Runs wait since `wakeAt`, or `createdAt` if they have none; ties break by `createdAt`, then `runId`.
   * Each claimed run becomes RUNNING with `attempt` and `revision` one higher, and `lostLeases` too if its lease had
   * expired. No two claims return the same run. No payload is decoded, so a corrupt one blocks no claim. The cost does
   * not depend on runs that are not eligible. `now` comes from the store's clock.
   *
   * @throws {InvalidArgumentError} if `leaseMs` is not an integer of milliseconds from 1 to a year.
   */
  claimRuns(claim: RunClaim): Promise<WorkflowRunSummary[]>;

  /**
   * Makes the lease end `leaseMs` from now, or leaves it if it ends later already. Returns its end. Nothing else of the
   * run changes.
   *
   * @throws {RunNotFoundError} {LeaseLostError}
   */
  extendLease(lease: LeaseExtension): Promise<Date>;

  /**
   * Gives the run back: it is PENDING, anybody may claim it, and its `lostLeases` are 0.
   *
   * @throws {RunNotFoundError} {LeaseLostError}
   */
  releaseLease(lease: LeaseHolder): Promise<void>;
}
