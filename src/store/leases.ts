import type { LeaseExtension, LeaseHolder, RunClaim } from "../model/leases.ts";
import type { WorkflowRunSummary } from "../schema/rows.ts";

export interface LeaseStore {
  /**
   * Leases the eligible runs that have waited longest to `workerId` and returns them without payloads, in order.
   *
   * Eligible, within what the claim names: PENDING without a `wakeAt` that is still to come, or RUNNING with an expired lease. They wait since
   * `createdAt`, or since `wakeAt` where they have one; ties break by `createdAt`, then `runId`. Each becomes RUNNING
   * with `attempt` and `revision` one higher. No two claims ever return the same run, and no payload
   * is decoded: a corrupt one blocks nobody. `now` comes from the store's clock.
   *
   * @throws {InvalidArgumentError} when `leaseMs` is not a positive integer of milliseconds.
   */
  claimRuns(claim: RunClaim): Promise<WorkflowRunSummary[]>;

  /**
   * Makes the lease end `leaseMs` from now and returns when that is. Nothing else of the run changes.
   *
   * @throws {RunNotFoundError} {LeaseLostError}
   */
  extendLease(lease: LeaseExtension): Promise<Date>;

  /**
   * Gives the run back: it is PENDING and anybody may claim it.
   *
   * @throws {RunNotFoundError} {LeaseLostError}
   */
  releaseLease(lease: LeaseHolder): Promise<void>;
}
