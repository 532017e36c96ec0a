import type { LeaseExtension, LeaseHolder, RunClaim } from "../model/leases.ts";
import type { WorkflowJson } from "../schema/json-types.ts";
import type { RunOf, SummaryOf } from "../schema/rows.ts";

export interface LeaseStore<Json extends WorkflowJson = WorkflowJson> {
  /**
   * Leases the longest-waiting eligible runs to `workerId`, and returns them in that order, without payloads.
   *
   * A run of the named versions whose workflow is not paused is eligible if it is PENDING and its `wakeAt` is not in the future, or RUNNING with an
   * expired lease and not in `activeRunIds`. Runs wait since `wakeAt`, or since `createdAt` without it. Ties break by
   * `createdAt`, then `runId`. A claim makes the run RUNNING, and increments `attempt`, `revision`, and after an expired
   * lease `lostLeases`. No two claims return the same run. No payload is decoded, so an unreadable one does not block
   * claims. The cost does not depend on runs that are not eligible, except that a claim without
   * `workflows` reads those of paused workflows.
   *
   * @throws {InvalidArgumentError} if a field is invalid.
   */
  claimRuns(claim: RunClaim): Promise<SummaryOf<RunOf<Json>>[]>;

  /**
   * Extends the lease to `leaseMs` from now, unless it ends later already. Returns its end. Changes nothing else of the
   * run.
   *
   * @throws {RunNotFoundError} if the run does not exist.
   * @throws {LeaseLostError} if the worker does not hold the run.
   */
  extendLease(lease: LeaseExtension): Promise<Date>;

  /**
   * Releases the run: it becomes PENDING, any worker may claim it, and its `lostLeases` become 0.
   *
   * @throws {RunNotFoundError} if the run does not exist.
   * @throws {LeaseLostError} if the worker does not hold the run.
   */
  releaseLease(lease: LeaseHolder): Promise<void>;
}
