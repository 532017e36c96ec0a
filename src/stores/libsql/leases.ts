import { CorruptRowError, RunNotFoundError } from "../../errors.ts";
import {
  checkLease,
  compareClaims,
  leaseExpiry,
  parseClaim,
  parseLeaseExtension,
  parseLeaseHolder,
} from "../../model/leases.ts";
import { planRelease } from "../../model/changes.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { LeaseStore } from "../../store/leases.ts";
import { runGuardProperties, summaryProperties, type RunProperty } from "./run-statements.ts";
import type { BoundStatement } from "./statement.ts";
import { withDetails } from "./runs.ts";
import { firstRow, leftOut, type StoreContext } from "./store-context.ts";

export function createLeaseOperations(context: StoreContext): LeaseStore {
  const { connection, codecs, statements, clock, perform } = context;
  const summary = summaryProperties(codecs);

  async function claim(request: ReturnType<typeof parseClaim>): Promise<WorkflowRunSummary[]> {
    const { workerId, leaseMs, limit } = request;
    const workflowIds = request.workflowIds && [...new Set(request.workflowIds)];
    if (workflowIds?.length === 0) return [];
    const except = request.except ?? [];
    const excepts = except.length > 0;
    const now = clock();
    const [claimed] = await connection.write([
      statements.claims.claim({ workflows: workflowIds?.length ?? null, excepts }).bind({
        workerId,
        leaseExpiresAt: leaseExpiry(now, leaseMs).getTime(),
        now: now.getTime(),
        limit,
        workflowIds: JSON.stringify(workflowIds ?? []),
        except: JSON.stringify(except.map((one) => [one.workflowId, one.workflowVersion])),
        ...Object.fromEntries(workflowIds?.map((id, index) => [`workflow${index}`, id]) ?? []),
      }),
    ]);
    const runs: WorkflowRunSummary[] = [];
    for (const row of claimed?.rows ?? []) {
      try {
        const cells = await withDetails(context, row);
        if (cells !== null) runs.push(codecs.run.decodeCells(summary, cells));
      } catch (error) {
        // A run that cannot be read must not cost the worker the others. It stays leased; lists name it.
        if (!(error instanceof CorruptRowError)) throw error;
      }
    }
    return runs.toSorted(compareClaims);
  }

  /** A write that only the holder of the lease may do. */
  async function asHolder(
    { runId, workerId, repeatable }: { runId: string; workerId: string; repeatable: boolean },
    write: BoundStatement,
  ): Promise<void> {
    const [written, found] = await connection.write(
      [write, statements.runs.getGuard.bind({ runId })],
      { repeatable },
    );
    if ((written?.changes ?? 0) > 0) return;
    const row = firstRow(found);
    if (row === null) throw new RunNotFoundError({ runId });
    checkLease(codecs.run.decodeCells(runGuardProperties, row), workerId);
    throw leftOut(codecs.run);
  }

  return {
    async claimRuns(request) {
      const parsed = parseClaim(request);
      return perform(parsed.signal, () => claim(parsed));
    },

    async extendLease(lease) {
      const { runId, workerId, leaseMs, signal } = parseLeaseExtension(lease);
      return perform(signal, async () => {
        const expiry = leaseExpiry(clock(), leaseMs);
        const leaseExpiresAt = expiry.getTime();
        await asHolder(
          // The expiry is in the statement: sent twice, the lease ends when the caller is told it does.
          { runId, workerId, repeatable: true },
          statements.runs.extendLease.bind({ runId, workerId, leaseExpiresAt }),
        );
        return expiry;
      });
    },

    async releaseLease(lease) {
      const { runId, workerId, signal } = parseLeaseHolder(lease);
      return perform(signal, async () => {
        const set = planRelease(clock());
        const shape = {
          set: Object.keys(set) as RunProperty[],
          setOnce: [],
          fenced: true,
          revised: false,
        };
        await asHolder(
          { runId, workerId, repeatable: false },
          statements.runs.release(shape).bind({
            ...codecs.run.encode(set),
            whereRunId: runId,
            whereWorkerId: workerId,
          }),
        );
      });
    },
  };
}
