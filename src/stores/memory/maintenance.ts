import { nextTurn } from "../../async/pause.ts";
import { everyRun } from "../../model/run-queries.ts";
import {
  isPrunable,
  type ParsedPrunePolicy,
  type PruneConditions,
  type PruneReport,
} from "../../model/retention.ts";
import type { Backend } from "../operations.ts";
import { countRuns, sizeOf } from "./reads.ts";
import type { Tables } from "./tables.ts";
import type { PlannedWrites } from "./writes.ts";

type Perform = Backend<PlannedWrites>["perform"];

export async function pruneRuns(
  tables: Tables,
  perform: Perform,
  { dryRun, batchSize, signal, onProgress, ...policy }: ParsedPrunePolicy,
): Promise<PruneReport> {
  const deleted = { runs: 0, steps: 0, attempts: 0, outputs: 0, state: 0, bytes: 0 };
  const runIds = await perform("read", signal, () => prunableRuns(tables, policy));
  for (let start = 0; start < runIds.length; start += batchSize) {
    await perform("write", signal, () => {
      for (const runId of runIds.slice(start, start + batchSize)) {
        const run = tables.getRun(runId);
        // The run may have been reopened or deleted since the query.
        if (run === undefined || !isPrunable(run, policy)) continue;
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
    onProgress?.({ deletedRuns: deleted.runs });
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

/** The ids of the runs to delete, without the newest `keepLast` of each workflow. */
function prunableRuns(
  tables: Tables,
  policy: PruneConditions & Pick<ParsedPrunePolicy, "keepLast">,
): string[] {
  const newer = new Map<string, number>();
  const found: string[] = [];
  for (const run of tables.scanRuns("newest first", null)) {
    const count = newer.get(run.workflowId) ?? 0;
    newer.set(run.workflowId, count + 1);
    if (count >= policy.keepLast && isPrunable(run, policy)) found.push(run.runId);
  }
  return found.toReversed();
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
