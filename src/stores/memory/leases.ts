import { planRelease } from "../../model/changes.ts";
import {
  checkLease,
  isClaimable,
  leaseExpiry,
  parseClaim,
  parseLeaseExtension,
  parseLeaseHolder,
  planClaim,
} from "../../model/leases.ts";
import { rowCodecs } from "../../schema/row-codecs.ts";
import type { LeaseStore } from "../../store/leases.ts";
import { changeRun, readGuard, readSummary, requireRun, unset } from "./runs.ts";
import type { StoreContext } from "./store-context.ts";
import { textOf, type RunRow } from "./tables.ts";

const codec = rowCodecs.run;

export function createLeaseOperations({ clock, write }: StoreContext): LeaseStore {
  return {
    async claimRuns(request) {
      const { workerId, leaseMs, limit, workflowIds, signal } = parseClaim(request);
      const wanted = workflowIds && new Set(workflowIds);
      return write(signal, (tables) => {
        const now = clock();
        const eligible: RunRow[] = [];
        for (const run of tables.scanUnfinishedRuns()) {
          if (eligible.length === limit) break;
          if (wanted && !wanted.has(textOf(run.workflowId))) continue;
          if (isClaimable(readGuard(run), now)) eligible.push(run);
        }
        const set = codec.encode(planClaim(workerId, leaseMs, now));
        const setOnce = codec.encode({ startedAt: now });
        return eligible.map((run) =>
          readSummary(
            changeRun(tables, run, {
              ...set,
              ...unset<Partial<RunRow>>(run, setOnce),
              attempt: Number(run.attempt) + 1,
            }),
          ),
        );
      });
    },

    async extendLease(lease) {
      const { runId, workerId, leaseMs, signal } = parseLeaseExtension(lease);
      return write(signal, (tables) => {
        const expiry = leaseExpiry(clock(), leaseMs);
        const run = requireRun(tables, runId);
        checkLease(readGuard(run), workerId);
        tables.putRun({ ...run, leaseExpiresAt: expiry.getTime() });
        return expiry;
      });
    },

    async releaseLease(lease) {
      const { runId, workerId, signal } = parseLeaseHolder(lease);
      return write(signal, (tables) => {
        const run = requireRun(tables, runId);
        checkLease(readGuard(run), workerId);
        changeRun(tables, run, codec.encode(planRelease(clock())));
      });
    },
  };
}
