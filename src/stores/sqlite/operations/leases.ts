import type { StatementResult } from "../../../client/local-client.ts";
import { CorruptRowError, RunNotFoundError } from "../../../errors.ts";
import {
  checkLease,
  compareClaims,
  distinctVersions,
  leaseExpiry,
  parseClaim,
  parseLeaseExtension,
  parseLeaseHolder,
} from "../../../model/leases.ts";
import { planRelease } from "../../../model/changes.ts";
import type { Fence } from "../../../model/transitions.ts";
import type { WorkflowRunSummary } from "../../../schema/rows.ts";
import type { LeaseStore } from "../../../store/leases.ts";
import { claimArguments, claimShape } from "../statements/claims.ts";
import { fenceArguments } from "../statements/fragments.ts";
import { runGuardProperties, summaryProperties, type RunProperty } from "../statements/runs.ts";
import type { BoundStatement } from "../statements/statement.ts";
import { sentTwiceError } from "../connections/connection.ts";
import { withDetails } from "./runs.ts";
import { firstRow, leftOut, type StoreContext } from "./context.ts";

export function createLeaseOperations(context: StoreContext): LeaseStore {
  const { connection, codecs, statements, clock, perform } = context;
  const summary = summaryProperties(codecs);

  async function claim(request: ReturnType<typeof parseClaim>): Promise<WorkflowRunSummary[]> {
    const { workerId, leaseMs, limit, activeRunIds = [] } = request;
    const workflows = request.workflows && distinctVersions(request.workflows);
    if (workflows?.length === 0) return [];
    const now = clock();
    const [claimed] = await connection.write(
      [
        statements.claims.claim(claimShape(workflows)).bind({
          workerId,
          leaseExpiresAt: leaseExpiry(now, leaseMs).getTime(),
          now: now.getTime(),
          limit,
          activeRunIds: JSON.stringify(activeRunIds),
          ...claimArguments(workflows),
        }),
      ],
      { signal: request.signal },
    );
    const runs: WorkflowRunSummary[] = [];
    for (const cells of await withDetails(context, claimed?.rows ?? [])) {
      try {
        runs.push(codecs.run.decodeCells(summary, cells));
      } catch (error) {
        // A run that cannot be read must not cost the worker the others. It stays leased; lists name it.
        if (!(error instanceof CorruptRowError)) throw error;
      }
    }
    return runs.toSorted(compareClaims);
  }

  /** A write that only the holder of the lease may do. @returns the rows of its RETURNING. */
  async function asHolder(
    { runId, fence, isHeartbeat }: { runId: string; fence: Fence; isHeartbeat: boolean },
    write: BoundStatement,
    signal: AbortSignal | undefined,
  ): Promise<StatementResult["rows"]> {
    let isSentAgain = false;
    const [written, found] = await connection.write(
      [write, statements.runs.getGuard.bind({ runId })],
      {
        repeatable: isHeartbeat,
        urgent: isHeartbeat,
        signal,
        onSentAgain: () => (isSentAgain = true),
      },
    );
    if (written !== undefined && (written.changes > 0 || written.rows.length > 0)) {
      return written.rows;
    }
    try {
      const row = firstRow(found);
      if (row === null) throw new RunNotFoundError({ runId });
      checkLease(codecs.run.decodeCells(runGuardProperties, row), fence);
      throw leftOut(codecs.run);
    } catch (error) {
      throw isSentAgain && !isHeartbeat ? sentTwiceError(error) : error;
    }
  }

  return {
    async claimRuns(request) {
      const parsed = parseClaim(request);
      return perform(parsed.signal, () => claim(parsed));
    },

    async extendLease(lease) {
      const { runId, leaseMs, signal, ...fence } = parseLeaseExtension(lease);
      return perform(signal, async () => {
        const expiry = leaseExpiry(clock(), leaseMs);
        const [row] = await asHolder(
          // The expiry is in the statement: sent twice, the lease ends when the caller is told it does.
          { runId, fence, isHeartbeat: true },
          statements.runs.extendLease.bind({
            runId,
            leaseExpiresAt: expiry.getTime(),
            ...fenceArguments(fence),
          }),
          signal,
        );
        return row === undefined
          ? expiry
          : (codecs.run.decodeCells(["leaseExpiresAt"], row).leaseExpiresAt ?? expiry);
      });
    },

    async releaseLease(lease) {
      const { runId, signal, ...fence } = parseLeaseHolder(lease);
      return perform(signal, async () => {
        const set = planRelease(clock());
        const shape = {
          set: Object.keys(set) as RunProperty[],
          setOnce: [],
          fenced: true,
          revised: false,
        };
        await asHolder(
          { runId, fence, isHeartbeat: false },
          statements.runs.release(shape).bind({
            ...codecs.run.encode(set),
            whereRunId: runId,
            ...fenceArguments(fence),
          }),
          signal,
        );
      });
    },
  };
}
