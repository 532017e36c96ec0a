import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { InvalidArgumentError, StoreBusyError } from "../errors.ts";
import { completeNewRun } from "../model/new-rows.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { bundlesById } from "./bundle-pages.ts";
import { isOutage, isRefusal } from "./refusals.ts";

/** The run that a check writes. Every check uses the same id, so at most one is ever left behind. */
export const probeRunId = "gorkflow-probe";

/**
 * True if a run that is written to `target` appears in `source`. The run is not written if the newest run of
 * `source` is missing in `target`. A stored identity would not do: a restored backup has the same one.
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
  const [newest] = (await source.listRuns({ limit: 1, signal })).runs;
  if (newest !== undefined && !(await has(target, newest.runId, signal))) {
    // It may have been deleted since; only a run that `source` still has proves something.
    if (await has(source, newest.runId, signal)) return false;
  }
  const beginning = new Date(0);
  for (let attempt = 0; attempt < 10; attempt++) {
    const token = randomUUID();
    const run = completeNewRun(
      {
        runId: probeRunId,
        workflowId: probeRunId,
        workflowVersion: token,
        status: "CANCELLED",
        createdAt: beginning,
        completedAt: beginning,
      },
      beginning,
    );
    const probe = { run, steps: [], attempts: [], outputs: [], state: [] };
    try {
      await target.writeBundles([probe], { onConflict: "replace", signal });
    } catch (error) {
      if (isOutage(error) || signal?.aborted === true) throw error;
      return false;
    }
    try {
      if ((await tokenIn(source, signal)) === token) return true;
      if ((await tokenIn(target, signal)) === token) return false;
    } finally {
      await target.deleteRun(probeRunId).catch((error: unknown) => {
        if (!isRefusal(error)) throw error;
      });
    }
    // Another check replaced the run before `source` was read.
    await sleep(Math.random() * 100, undefined, { signal });
  }
  throw new StoreBusyError("other processes compare the same databases");
}

async function tokenIn(store: WorkflowStore, signal?: AbortSignal): Promise<string | undefined> {
  const { bundles } = await bundlesById(store, [probeRunId], signal);
  return bundles.get(probeRunId)?.run.workflowVersion;
}

export function sameDatabaseError(argument: string): InvalidArgumentError {
  return new InvalidArgumentError({ argument, reason: "is the same database as the other store" });
}

async function has(
  store: WorkflowStore,
  runId: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { bundles, corrupt } = await bundlesById(store, [runId], signal);
  return bundles.size + corrupt.length > 0;
}
