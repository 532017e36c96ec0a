import type { StatementResult } from "../../../client/local-client.ts";
import { ConstraintError, RunNotFoundError } from "../../../errors.ts";
import { planRelease } from "../../../model/changes.ts";
import {
  checkLease,
  compareClaims,
  leaseExpiry,
  type LeaseExtension,
  type LeaseHolder,
  type ParsedClaim,
} from "../../../model/leases.ts";
import { runSummaryProperties } from "../../../schema/row-codecs.ts";
import type { WorkflowRunSummary } from "../../../schema/rows.ts";
import { readAfterWrite, sentTwiceError } from "../connections/connection.ts";
import { claimArguments, claimShape } from "../statements/claims.ts";
import { fenceArguments } from "../statements/fragments.ts";
import { runGuardProperties, type RunProperty } from "../statements/runs.ts";
import type { BoundStatement } from "../statements/statement.ts";
import { firstRow, leftOut, readRows, type StoreContext } from "./context.ts";
import { decodeReadable, withDetails } from "./runs.ts";
import { shapeOf } from "./writes.ts";

type Rows = StatementResult["rows"];

/** The number of runs beyond the limit of a claim that are tried if a constraint of the app refuses runs. */
const maxRefused = 100;

export async function claimRuns(
  context: StoreContext,
  { workerId, leaseMs, limit, workflows, activeRunIds, signal }: ParsedClaim,
): Promise<WorkflowRunSummary[]> {
  const { connection, codecs, statements, clock } = context;
  if (workflows?.length === 0) return [];
  const now = clock();
  const shape = claimShape(workflows, connection.maxUnionTerms);
  const args = {
    workerId,
    leaseExpiresAt: leaseExpiry(now, leaseMs).getTime(),
    now: now.getTime(),
    limit,
    activeRunIds: JSON.stringify(activeRunIds),
    ...claimArguments(shape, workflows),
  };
  const write = async (claim: BoundStatement): Promise<Rows> => {
    const [claimed] = await connection.write([claim], { signal });
    return claimed?.rows ?? [];
  };

  /** Claims runs one by one, and leaves out those that a constraint refuses. */
  const claimOthers = async (refusal: ConstraintError): Promise<Rows> => {
    let failure: unknown = refusal;
    const { eligible, claimOne } = statements.claims;
    const found = eligible(shape).bind({ ...args, limit: limit + maxRefused });
    const ids = (await readRows(connection, found)).map(([runId]) => runId as string);
    const claimed: Rows[number][] = [];
    while (ids.length > 0 && claimed.length < limit) {
      const some = ids.splice(0, limit - claimed.length);
      const claims = some.map((runId) => write(claimOne.bind({ ...args, runId })));
      for (const outcome of await Promise.allSettled(claims)) {
        if (outcome.status === "fulfilled") claimed.push(...outcome.value);
        else if (!(outcome.reason instanceof ConstraintError)) failure = outcome.reason;
      }
      if (failure !== refusal) break;
    }
    if (claimed.length === 0) throw failure;
    return claimed;
  };

  const claimed = await write(statements.claims.claim(shape).bind(args)).catch((error: unknown) => {
    if (error instanceof ConstraintError) return claimOthers(error);
    throw error;
  });
  const rows = await readAfterWrite(connection, withDetails(context, claimed));
  // An unreadable run stays leased, and lists report it.
  const runs = decodeReadable(rows, (row) => codecs.run.decodeCells(runSummaryProperties, row), []);
  return runs.toSorted(compareClaims);
}

export async function extendLease(context: StoreContext, lease: LeaseExtension): Promise<Date> {
  const { codecs, statements, clock } = context;
  const { runId, leaseMs, signal: _, ...fence } = lease;
  const expiry = leaseExpiry(clock(), leaseMs);
  const write = statements.runs.extendLease.bind({
    runId,
    leaseExpiresAt: expiry.getTime(),
    ...fenceArguments(fence),
  });
  // A second request has the same effect, because the statement has the expiry.
  const [row] = await writeAsHolder(context, lease, write, { isHeartbeat: true });
  if (row === undefined) return expiry;
  return codecs.run.decodeCells(["leaseExpiresAt"], row).leaseExpiresAt ?? expiry;
}

export async function releaseLease(context: StoreContext, lease: LeaseHolder): Promise<void> {
  const { codecs, statements, clock } = context;
  const set = planRelease(clock());
  const write = statements.runs.release(shapeOf<RunProperty>({ set })).bind({
    ...codecs.run.encode(set),
    whereRunId: lease.runId,
    ...fenceArguments(lease),
  });
  await writeAsHolder(context, lease, write, { isHeartbeat: false });
}

/** Executes a write that requires the lease, and returns the rows of its RETURNING. */
async function writeAsHolder(
  { connection, codecs, statements }: StoreContext,
  { runId, signal, ...fence }: LeaseHolder,
  write: BoundStatement,
  { isHeartbeat }: { readonly isHeartbeat: boolean },
): Promise<Rows> {
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
