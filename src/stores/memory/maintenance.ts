import { nextTurn } from "../../async/pause.ts";
import { parseOptions } from "../../model/options.ts";
import {
  isPrunable,
  parsePrunePolicy,
  type ParsedPrunePolicy,
  type PruneReport,
} from "../../model/retention.ts";
import { rowCodecs } from "../../schema/row-codecs.ts";
import type { MaintenanceStore } from "../../store/maintenance.ts";
import { bytesOf } from "./bundles.ts";
import { countByStatus } from "./runs.ts";
import type { StoreContext } from "./store-context.ts";
import { textOf, type RunRow, type Tables } from "./tables.ts";

const policyProperties = ["status", "workflowId", "completedAt", "updatedAt"] as const;

export function createMaintenanceOperations({ read, write }: StoreContext): MaintenanceStore {
  async function prune(policy: ParsedPrunePolicy): Promise<PruneReport> {
    const totals = { runs: 0, steps: 0, attempts: 0, outputs: 0, state: 0, bytes: 0 };
    const going = await read(policy.signal, (tables) => candidates(tables, policy));
    for (let start = 0; start < going.length; start += policy.batchSize) {
      const runIds = going.slice(start, start + policy.batchSize);
      await write(policy.signal, (tables) => {
        for (const runId of runIds) {
          const run = tables.getRun(runId);
          // It may have been reopened or deleted since.
          if (run === undefined || !goes(run, policy)) continue;
          const { steps, attempts, outputs, state, total } = bytesOf(tables, run);
          totals.runs += 1;
          totals.steps += steps;
          totals.attempts += attempts;
          totals.outputs += outputs;
          totals.state += state;
          totals.bytes += total;
          if (!policy.dryRun) tables.deleteRun(runId);
        }
      });
      policy.onProgress?.({ deletedRuns: totals.runs });
      // Timers and other writers have their turn between two batches.
      await nextTurn();
    }
    const remaining = await read(
      policy.signal,
      (tables) => [...tables.scanRuns("oldest first", null)].length,
    );
    return {
      dryRun: policy.dryRun,
      deletedRuns: totals.runs,
      deletedStepExecutions: totals.steps,
      deletedStepAttempts: totals.attempts,
      deletedStepOutputs: totals.outputs,
      deletedState: totals.state,
      deletedOrphans: 0,
      refusedRuns: 0,
      refused: [],
      remainingRuns: policy.dryRun ? remaining - totals.runs : remaining,
      deletedBytes: totals.bytes,
      freedBytes: null,
    };
  }

  return {
    async pruneRuns(policy) {
      return prune(parsePrunePolicy(policy));
    },

    async stats(options) {
      const { signal } = parseOptions(options);
      return read(signal, (tables) => {
        const [oldest] = tables.scanRuns("oldest first", null);
        const [newest] = tables.scanRuns("newest first", null);
        const runs = countByStatus(tables, null);
        return {
          rows: {
            workflowRuns: Object.values(runs).reduce((sum, count) => sum + count, 0),
            stepExecutions: tables.countChildren("steps"),
            stepAttempts: tables.countChildren("attempts"),
            stepOutputs: tables.countChildren("outputs"),
            workflowState: tables.countChildren("state"),
          },
          runs,
          bytes: null,
          freeBytes: null,
          oldestRunAt: oldest === undefined ? null : new Date(Number(oldest.createdAt)),
          newestRunAt: newest === undefined ? null : new Date(Number(newest.createdAt)),
        };
      });
    },
  };
}

/** The runs to delete, without the newest `keepLast` of each workflow. */
function candidates(tables: Tables, policy: ParsedPrunePolicy): string[] {
  const kept = new Map<string, number>();
  const going: string[] = [];
  for (const run of tables.scanRuns("newest first", null)) {
    const workflowId = textOf(run.workflowId);
    const newer = kept.get(workflowId) ?? 0;
    kept.set(workflowId, newer + 1);
    if (newer >= policy.keepLast && goes(run, policy)) going.push(textOf(run.runId));
  }
  return going.toReversed();
}

function goes(run: RunRow, policy: ParsedPrunePolicy): boolean {
  return isPrunable(
    rowCodecs.run.decodeCells(
      policyProperties,
      policyProperties.map((name) => run[name]),
    ),
    policy,
  );
}
