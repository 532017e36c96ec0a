import { planRelease } from "../../model/changes.ts";
import {
  checkLease,
  compareClaims,
  extendedExpiry,
  isClaimable,
  planClaim,
  type LeaseExtension,
  type LeaseHolder,
  type ParsedClaim,
} from "../../model/leases.ts";
import { rowCodecs } from "../../schema/row-codecs.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import { readSummary } from "./reads.ts";
import type { Tables } from "./tables.ts";
import { changeRun, requireRun, unset } from "./writes.ts";

export function claimRuns(
  tables: Tables,
  { workerId, leaseMs, limit, workflows, activeRunIds }: ParsedClaim,
  time: Date,
): WorkflowRunSummary[] {
  const now = time.getTime();
  const active = new Set(activeRunIds);
  const set = rowCodecs.run.encode(planClaim(workerId, leaseMs, time));
  const isPaused = (workflowId: string) => tables.pauses.get(workflowId) !== undefined;
  return [...tables.scanClaimableRuns({ workflows, isPaused, now, limit })]
    .filter((run) => isClaimable(run, now) && !(run.status === "RUNNING" && active.has(run.runId)))
    .toSorted(compareClaims)
    .slice(0, limit)
    .map((run) => {
      const claimed = {
        ...set,
        ...unset(run, { startedAt: now }),
        attempt: run.attempt + 1,
        lostLeases: run.lostLeases + (run.status === "RUNNING" ? 1 : 0),
      };
      return readSummary(changeRun(tables, run, claimed));
    });
}

export function extendLease(
  tables: Tables,
  { runId, leaseMs, ...fence }: LeaseExtension,
  now: Date,
): Date {
  const run = requireRun(tables, runId);
  checkLease(run, fence);
  const expiry = extendedExpiry(new Date(run.leaseExpiresAt ?? 0), now, leaseMs);
  tables.putRun({ ...run, leaseExpiresAt: expiry.getTime() });
  return expiry;
}

export function releaseLease(tables: Tables, { runId, ...fence }: LeaseHolder, now: Date): void {
  const run = requireRun(tables, runId);
  checkLease(run, fence);
  changeRun(tables, run, rowCodecs.run.encode(planRelease(now)));
}
