import { planRelease } from "../../model/changes.ts";
import {
  checkLease,
  compareClaims,
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

/** What decides whether, and when, a run is claimed. */
const claimProperties = ["runId", "status", "leaseExpiresAt", "wakeAt", "createdAt"] as const;

function readClaim(run: RunRow) {
  return codec.decodeCells(
    claimProperties,
    claimProperties.map((name) => run[name]),
  );
}

export function createLeaseOperations({ clock, write }: StoreContext): LeaseStore {
  return {
    async claimRuns(request) {
      const { workerId, leaseMs, limit, workflowIds, except = [], signal } = parseClaim(request);
      const wanted = workflowIds && new Set(workflowIds);
      return write(signal, (tables) => {
        const now = clock();
        const isEligible = (run: RunRow): boolean =>
          (wanted === undefined || wanted.has(textOf(run.workflowId))) &&
          !except.some(
            ({ workflowId, workflowVersion }) =>
              run.workflowId === workflowId && run.workflowVersion === workflowVersion,
          ) &&
          isClaimable(readClaim(run), now);
        const eligible: RunRow[] = [];
        for (const run of tables.scanUnfinishedRuns()) {
          if (eligible.length === limit) break;
          if (isEligible(run)) eligible.push(run);
        }
        for (const run of tables.scanWaitingRuns()) if (isEligible(run)) eligible.push(run);
        eligible.sort((a, b) => compareClaims(readClaim(a), readClaim(b)));
        const set = codec.encode(planClaim(workerId, leaseMs, now));
        const setOnce = codec.encode({ startedAt: now });
        return eligible.slice(0, limit).map((run) =>
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
