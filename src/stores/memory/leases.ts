import { planRelease } from "../../model/changes.ts";
import {
  checkLease,
  compareClaims,
  distinctVersions,
  extendedExpiry,
  isClaimable,
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
      const { workerId, leaseMs, limit, workflows, activeRunIds, signal } = parseClaim(request);
      return write(signal, (tables) => {
        const now = clock();
        const scope = {
          workflows: workflows && distinctVersions(workflows),
          now: now.getTime(),
          limit,
        };
        const active = new Set(activeRunIds);
        const eligible = [...tables.scanClaimableRuns(scope)].filter(
          (run) =>
            isClaimable(readClaim(run), now) &&
            !(run.status === "RUNNING" && active.has(textOf(run.runId))),
        );
        eligible.sort((a, b) => compareClaims(readClaim(a), readClaim(b)));
        const set = codec.encode(planClaim(workerId, leaseMs, now));
        const setOnce = codec.encode({ startedAt: now });
        return eligible.slice(0, limit).map((run) =>
          readSummary(
            changeRun(tables, run, {
              ...set,
              ...unset<Partial<RunRow>>(run, setOnce),
              attempt: Number(run.attempt) + 1,
              lostLeases: Number(run.lostLeases) + (run.status === "RUNNING" ? 1 : 0),
            }),
          ),
        );
      });
    },

    async extendLease(lease) {
      const { runId, leaseMs, signal, ...fence } = parseLeaseExtension(lease);
      return write(signal, (tables) => {
        const run = requireRun(tables, runId);
        const guard = readGuard(run);
        checkLease(guard, fence);
        const expiry = extendedExpiry(guard.leaseExpiresAt, clock(), leaseMs);
        tables.putRun({ ...run, leaseExpiresAt: expiry.getTime() });
        return expiry;
      });
    },

    async releaseLease(lease) {
      const { runId, signal, ...fence } = parseLeaseHolder(lease);
      return write(signal, (tables) => {
        const run = requireRun(tables, runId);
        checkLease(readGuard(run), fence);
        changeRun(tables, run, codec.encode(planRelease(clock())));
      });
    },
  };
}
