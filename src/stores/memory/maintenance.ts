import { callUntilAborted } from "../../async/abort.ts";
import { nextTurn } from "../../async/pause.ts";
import { everyRun } from "../../model/run-queries.ts";
import { isPrunable, type ParsedPrunePolicy, type PruneReport } from "../../model/retention.ts";
import type { Backend } from "../operations.ts";
import { countRuns, sizeOf } from "./reads.ts";
import type { RunRow, Tables } from "./tables.ts";
import type { PlannedWrites } from "./writes.ts";

type Perform = Backend<PlannedWrites>["perform"];

export async function pruneRuns(
  tables: Tables,
  perform: Perform,
  { dryRun, batchSize, signal, onProgress, ...policy }: ParsedPrunePolicy,
): Promise<PruneReport> {
  const deleted = { runs: 0, steps: 0, attempts: 0, outputs: 0, state: 0, bytes: 0 };
  const runIds = await perform("read", signal, () =>
    Array.from(tables.scanRuns("oldest first", null))
      .filter((run) => isPrunable(run, policy))
      .map(({ runId }) => runId),
  );
  for (let start = 0; start < runIds.length; start += batchSize) {
    await perform("write", signal, () => {
      // Runs may have been created, reopened or deleted since the query.
      const batch = runIds
        .slice(start, start + batchSize)
        .flatMap((runId) => tables.getRun(runId) ?? []);
      const kept = newestRuns(tables, batch, policy.keepLast);
      for (const run of batch) {
        const { runId } = run;
        if (kept.has(runId) || !isPrunable(run, policy)) continue;
        const { rows, bytes } = sizeOf(tables, run);
        deleted.runs += 1;
        deleted.steps += rows.steps;
        deleted.attempts += rows.attempts;
        deleted.outputs += rows.outputs;
        deleted.state += rows.state;
        deleted.bytes += bytes;
        if (!dryRun) tables.deleteRun(runId);
      }
    });
    await callUntilAborted(onProgress, { deletedRuns: deleted.runs }, signal);
    // Timers and other writers run between two batches.
    await nextTurn();
  }
  const counts = await perform("read", signal, () => countRuns(tables, everyRun));
  const remaining = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return {
    dryRun,
    deletedRuns: deleted.runs,
    deletedStepExecutions: deleted.steps,
    deletedStepAttempts: deleted.attempts,
    deletedStepOutputs: deleted.outputs,
    deletedState: deleted.state,
    deletedOrphans: 0,
    refusedRuns: 0,
    refused: [],
    remainingRuns: dryRun ? remaining - deleted.runs : remaining,
    deletedBytes: deleted.bytes,
    freedBytes: null,
  };
}

/** The ids of the newest `count` runs of each workflow of `batch`. */
function newestRuns(tables: Tables, batch: readonly RunRow[], count: number): Set<string> {
  const newest = new Set<string>();
  const missing = new Map(batch.map(({ workflowId }) => [workflowId, count]));
  for (const { runId, workflowId } of count === 0 ? [] : tables.scanRuns("newest first", null)) {
    const left = missing.get(workflowId);
    if (left === undefined) continue;
    newest.add(runId);
    if (left > 1) missing.set(workflowId, left - 1);
    else missing.delete(workflowId);
    if (missing.size === 0) break;
  }
  return newest;
}

export function readStats(tables: Tables) {
  const [oldest] = tables.scanRuns("oldest first", null);
  const [newest] = tables.scanRuns("newest first", null);
  const counts = countRuns(tables, everyRun);
  return {
    rows: {
      workflowRuns: [...counts.values()].reduce((sum, count) => sum + count, 0),
      stepExecutions: tables.countChildren("steps"),
      stepAttempts: tables.countChildren("attempts"),
      stepOutputs: tables.countChildren("outputs"),
      workflowState: tables.countChildren("state"),
    },
    counts,
    bytes: null,
    freeBytes: null,
    oldestRunAt: oldest === undefined ? null : new Date(oldest.createdAt),
    newestRunAt: newest === undefined ? null : new Date(newest.createdAt),
  };
}
