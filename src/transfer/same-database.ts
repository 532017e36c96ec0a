import { randomUUID } from "node:crypto";
import { InvalidArgumentError, StoreBusyError } from "../errors.ts";
import { completeNewRun } from "../model/new-rows.ts";
import type { RunFilter } from "../model/run-queries.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { bundlesById, probeWorkflowId } from "./bundle-pages.ts";
import { isOutage, isRefusal } from "./refusals.ts";

/**
 * True if a run that is written to `target` appears in `source`. Nothing is written if only `source` has its newest run,
 * or only `target` has a run of an earlier check. A stored identity would not do: a restored backup has the same one.
 *
 * The run is finished and from 1970: no worker claims it, and retention deletes it if this process dies or a
 * constraint of the app keeps it. A target that refuses it counts as another database.
 */
export async function isSameDatabase(
  source: WorkflowStore,
  target: WorkflowStore,
  signal?: AbortSignal,
): Promise<boolean> {
  if (source === target) return true;
  if ((await ownRun(source, target, {}, signal)) !== null) return false;
  const leftOver = await ownRun(target, source, { workflowId: probeWorkflowId }, signal);
  if (leftOver !== null) {
    await remove(target, leftOver);
    return false;
  }
  const completedAt = new Date(0);
  for (let attempt = 0; attempt < 20; attempt++) {
    const runId = `${probeWorkflowId}:${randomUUID()}`;
    const run = completeNewRun(
      { runId, workflowId: probeWorkflowId, status: "CANCELLED", completedAt },
      completedAt,
    );
    const probe = { run, steps: [], attempts: [], outputs: [], state: [] };
    try {
      await target.writeBundles([probe], { onConflict: "fail", signal });
    } catch (error) {
      if (isOutage(error) || signal?.aborted === true) throw error;
      return false;
    }
    try {
      if (await has(source, runId, signal)) return true;
      if (await has(target, runId, signal)) return false;
      // A trigger, retention or another check has deleted the run in the meantime.
    } finally {
      await remove(target, runId);
    }
  }
  throw new StoreBusyError(
    "a run that is written to tell the databases apart is deleted at once, by a trigger or another process",
  );
}

/** The newest run that matches in `store`, if `other` does not have it; otherwise null. */
async function ownRun(
  store: WorkflowStore,
  other: WorkflowStore,
  filter: RunFilter,
  signal?: AbortSignal,
): Promise<string | null> {
  const [newest] = (await store.listRuns({ ...filter, limit: 1, signal })).runs;
  if (newest === undefined || (await has(other, newest.runId, signal))) return null;
  // It may have been deleted since. Only a run that `store` still has proves something.
  return (await has(store, newest.runId, signal)) ? newest.runId : null;
}

async function has(store: WorkflowStore, runId: string, signal?: AbortSignal): Promise<boolean> {
  const { bundles, corrupt } = await bundlesById(store, [runId], signal);
  return bundles.size + corrupt.length > 0;
}

async function remove(store: WorkflowStore, runId: string): Promise<void> {
  await store.deleteRun(runId).catch((error: unknown) => {
    if (!isRefusal(error)) throw error;
  });
}

export function sameDatabaseError(argument: string): InvalidArgumentError {
  return new InvalidArgumentError({ argument, reason: "is the same database as the other store" });
}
