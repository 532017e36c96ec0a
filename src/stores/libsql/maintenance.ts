import type { PruneReport, ParsedPrunePolicy } from "../../model/retention.ts";
import { parseOptions } from "../../model/options.ts";
import { parsePrunePolicy } from "../../model/retention.ts";
import type { Cell } from "../../schema/row-codec.ts";
import type { MaintenanceStore, StoreStats } from "../../store/maintenance.ts";
import { GorkflowError } from "../../errors.ts";
import { textOf } from "./connection.ts";
import { walkedRows } from "./maintenance-statements.ts";
import { readRows, type StoreContext } from "./store-context.ts";

/** The beginning of a walk by time: no time is earlier, and no run id sorts before the empty one. */
const beginning = { afterTime: Number.MIN_SAFE_INTEGER, afterRunId: "" };

/** Workflows whose kept runs are looked up in one read. */
const workflowsAtOnce = 50;

/** SQLite's number for `auto_vacuum = incremental`. */
const incrementalVacuum = 2;

/** Pages given back to the file system in one transaction: as long as the deletion of a batch of runs. */
const pagesGivenBack = 128;

interface DatabasePages {
  readonly bytes: number;
  readonly freePages: number;
  readonly freeBytes: number;
  /** Free pages are given back when they are asked for. */
  readonly isIncremental: boolean;
}

export function createMaintenanceOperations(
  context: StoreContext,
  countRuns: () => Promise<StoreStats["runs"]>,
): MaintenanceStore {
  const { connection, statements, perform } = context;

  async function prune(policy: ParsedPrunePolicy): Promise<PruneReport> {
    const ofWorkflow = policy.workflowId !== null;
    const criteria = {
      statuses: JSON.stringify(policy.statuses),
      workflowId: policy.workflowId,
      olderThan: policy.olderThan.getTime(),
      kept: JSON.stringify(await keptRuns(policy)),
    };
    const totals = { runs: 0, steps: 0, attempts: 0, outputs: 0, state: 0, bytes: 0, orphans: 0 };
    const pagesBefore = await readPages();

    for await (const runIds of candidates(policy, criteria)) {
      policy.signal?.throwIfAborted();
      const named = { ...criteria, runIds: JSON.stringify(runIds) };
      const measure = statements.maintenance.measure(ofWorkflow).bind(named);
      const [measured] = policy.dryRun
        ? await connection.read([measure])
        : await connection.write([measure, statements.maintenance.prune(ofWorkflow).bind(named)], {
            signal: policy.signal,
          });
      const [runs, steps, attempts, outputs, state, bytes] = (measured?.rows[0] ?? []).map(Number);
      totals.runs += runs ?? 0;
      totals.steps += steps ?? 0;
      totals.attempts += attempts ?? 0;
      totals.outputs += outputs ?? 0;
      totals.state += state ?? 0;
      totals.bytes += bytes ?? 0;
      policy.onProgress?.({ deletedRuns: totals.runs });
      await nextTurn();
    }
    totals.orphans = await removeOrphans(policy);
    if (!policy.dryRun) await giveSpaceBack(policy.signal);
    const remaining = Object.values(await countRuns()).reduce((sum, count) => sum + count, 0);
    const pagesAfter = await readPages();
    return {
      dryRun: policy.dryRun,
      deletedRuns: totals.runs,
      deletedStepExecutions: totals.steps,
      deletedStepAttempts: totals.attempts,
      deletedStepOutputs: totals.outputs,
      deletedState: totals.state,
      deletedOrphans: totals.orphans,
      remainingRuns: policy.dryRun ? remaining - totals.runs : remaining,
      deletedBytes: totals.bytes,
      freedBytes:
        pagesBefore === null || pagesAfter === null
          ? null
          : Math.max(0, pagesBefore.bytes - pagesAfter.bytes),
    };
  }

  /** Each workflow's oldest run that stays, by its position. */
  async function keptRuns({
    keepLast,
    workflowId,
    signal,
  }: ParsedPrunePolicy): Promise<Record<string, [number, string]>> {
    if (keepLast === 0) return {};
    const { oldestKept, workflows } = statements.maintenance;
    const names =
      workflowId === null
        ? (await readRows(connection, workflows.bind({}))).map(([name]) => textOf(name))
        : [workflowId];
    const kept: [string, [number, string]][] = [];
    for (let start = 0; start < names.length; start += workflowsAtOnce) {
      signal?.throwIfAborted();
      const some = names.slice(start, start + workflowsAtOnce);
      const results = await connection.read(
        some.map((name) => oldestKept.bind({ keepLast, workflowId: name })),
      );
      for (const [index, name] of some.entries()) {
        const row = results[index]?.rows[0];
        if (row !== undefined) kept.push([name, [Number(row[0]), textOf(row[1])]]);
      }
      await nextTurn();
    }
    return Object.fromEntries(kept);
  }

  /** Batches of run ids that the policy names: the completed ones by completion, then those without one. */
  async function* candidates(
    policy: ParsedPrunePolicy,
    criteria: Record<"statuses" | "workflowId" | "olderThan" | "kept", Cell>,
  ): AsyncGenerator<string[]> {
    const ofWorkflow = policy.workflowId !== null;
    const completed = statements.maintenance.completedCandidates(ofWorkflow);
    for (let after = beginning; ;) {
      const rows = await readRows(
        connection,
        completed.bind({ ...criteria, ...after, limit: policy.batchSize }),
      );
      if (rows.length > 0) yield rows.map(([runId]) => textOf(runId));
      const last = rows.at(-1);
      if (last === undefined || rows.length < policy.batchSize) break;
      after = { afterTime: Number(last[1]), afterRunId: textOf(last[0]) };
    }
    const walk = statements.maintenance.walkStatus(ofWorkflow);
    for (const status of policy.statuses) {
      for (let after = beginning; ;) {
        policy.signal?.throwIfAborted();
        const rows = await readRows(
          connection,
          walk.bind({ ...criteria, ...after, status, limit: walkedRows }),
        );
        const going = rows.filter(([, , goes]) => goes === 1).map(([runId]) => textOf(runId));
        for (let start = 0; start < going.length; start += policy.batchSize) {
          yield going.slice(start, start + policy.batchSize);
        }
        const last = rows.at(-1);
        if (last === undefined || rows.length < walkedRows) break;
        after = { afterTime: Number(last[1]), afterRunId: textOf(last[0]) };
        await nextTurn();
      }
    }
  }

  /** Children whose run is gone: somebody deleted it with foreign keys off. Returns how many. */
  async function removeOrphans(policy: ParsedPrunePolicy): Promise<number> {
    let removed = 0;
    for (const { walk, delete: remove } of statements.maintenance.orphans) {
      for (let after = { afterRunId: "", afterKey: "" }; ;) {
        policy.signal?.throwIfAborted();
        const rows = await readRows(connection, walk.bind({ ...after, limit: walkedRows }));
        const orphaned = rows.filter(([, , flag]) => flag === 1);
        if (orphaned.length > 0) {
          const runIds = JSON.stringify([...new Set(orphaned.map(([runId]) => textOf(runId)))]);
          if (policy.dryRun) removed += orphaned.length;
          else
            removed +=
              (await connection.write([remove.bind({ runIds })], { signal: policy.signal }))[0]
                ?.changes ?? 0;
        }
        const last = rows.at(-1);
        if (last === undefined || rows.length < walkedRows) break;
        after = { afterRunId: textOf(last[0]), afterKey: textOf(last[1]) };
        await nextTurn();
      }
    }
    return removed;
  }

  /**
   * Gives free pages back to the file system, where that is asked for page by page: a few at a time, so that
   * nobody waits for long. What an earlier prune has left, when it was stopped, goes too.
   */
  async function giveSpaceBack(signal: AbortSignal | undefined): Promise<void> {
    if (connection.runScript === undefined) return;
    let pages = await readPages();
    while (pages?.isIncremental === true && pages.freePages > 0) {
      signal?.throwIfAborted();
      await connection.runScript(`pragma incremental_vacuum(${pagesGivenBack})`);
      const before = pages.freePages;
      pages = await readPages();
      // Others may free pages faster than they are given back.
      if (pages === null || pages.freePages >= before) break;
      await nextTurn();
    }
    // Until then the file keeps its size, and the log the pages that were moved.
    await connection.runScript("pragma wal_checkpoint(truncate)");
  }

  /** Size and free space of the database; null where the server does not tell. */
  async function readPages(): Promise<DatabasePages | null> {
    try {
      const [row] = await readRows(connection, statements.maintenance.pages.bind({}));
      const [pages = 0, freePages = 0, pageSize = 0, autoVacuum = 0] = (row ?? []).map(Number);
      return {
        bytes: pages * pageSize,
        freePages,
        freeBytes: freePages * pageSize,
        isIncremental: autoVacuum === incrementalVacuum,
      };
    } catch (error) {
      // Some servers refuse these pragmas; the figures are then unknown, nothing else.
      if (error instanceof GorkflowError && !error.retryable) return null;
      throw error;
    }
  }

  async function readStats(): Promise<StoreStats> {
    const [rows, oldest, newest] = await connection.read([
      statements.maintenance.countRows.bind({}),
      statements.maintenance.oldestRun.bind({}),
      statements.maintenance.newestRun.bind({}),
    ]);
    const [
      workflowRuns = 0,
      stepExecutions = 0,
      stepAttempts = 0,
      stepOutputs = 0,
      workflowState = 0,
    ] = (rows?.rows[0] ?? []).map(Number);
    const pages = await readPages();
    return {
      rows: { workflowRuns, stepExecutions, stepAttempts, stepOutputs, workflowState },
      runs: await countRuns(),
      bytes: pages?.bytes ?? null,
      freeBytes: pages?.freeBytes ?? null,
      oldestRunAt: timeOf(oldest?.rows[0]?.[0]),
      newestRunAt: timeOf(newest?.rows[0]?.[0]),
    };
  }

  return {
    async pruneRuns(policy) {
      const parsed = parsePrunePolicy(policy);
      return perform(parsed.signal, () => prune(parsed));
    },

    async stats(options) {
      const { signal } = parseOptions(options);
      return perform(signal, readStats);
    },
  };
}

function timeOf(cell: unknown): Date | null {
  return typeof cell === "number" ? new Date(cell) : null;
}

/** Lets timers, sockets and other writers have their turn. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
