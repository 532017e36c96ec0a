import { nextTurn } from "../../../async/pause.ts";
import { Backoff, retry, retryFor } from "../../../async/retry.ts";
import { ConstraintError, GorkflowError, StoreBusyError } from "../../../errors.ts";
import type { StoredPosition } from "../../../model/cursors.ts";
import { parseOptions } from "../../../model/options.ts";
import {
  parsePrunePolicy,
  type ParsedPrunePolicy,
  type PruneReport,
  type RefusedRun,
} from "../../../model/retention.ts";
import { isFinalRunStatus } from "../../../model/transitions.ts";
import type { Cell } from "../../../schema/row-codec.ts";
import type { MaintenanceStore, StoreStats } from "../../../store/maintenance.ts";
import { textOf, type StatementResult } from "../connections/connection.ts";
import { walkedRows } from "../statements/maintenance.ts";
import { positionCell, positionOf } from "../statements/run-filters.ts";
import type { Argument, BoundStatement } from "../statements/statement.ts";
import { readRows, type StoreContext } from "./context.ts";

/** The beginning of a walk by time: no time is earlier, and no run id sorts before the empty one. */
const beginning: StoredPosition = { createdAt: Number.MIN_SAFE_INTEGER, runId: "" };

/**
 * Rows of a table that a later prune of the same store looks at, where nothing has to be found: it continues where the
 * one before ended. The first prune, and every dry run, looks at all of them.
 */
const rewalkedRows = 50_000;

/** How many of the runs that were refused a report names. */
const namedRefusals = 100;

/** How long the vacuum waits for other writers, each time. */
const vacuumPatienceMs = 2000;

/** SQLite's number for `auto_vacuum = incremental`. */
const incrementalVacuum = 2;

/** Pages given back to the file system in one transaction: as long as the deletion of a batch of runs. */
const pagesGivenBack = 128;

/** A walk over the rows of a table, by key. */
interface RowWalk {
  readonly name: string;
  /** Every prune looks at all rows. */
  readonly whole: boolean;
  /** A key before all others. */
  readonly first: readonly Argument[];
  /** The next rows after a key. */
  read(after: readonly Argument[]): BoundStatement;
  keyOf(row: readonly unknown[]): readonly Argument[];
}

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
  const { connection, codecs, statements, perform } = context;

  /** Where the walks of this store have come to: by name, a key. */
  const reached = new Map<string, readonly Argument[]>();

  async function prune(policy: ParsedPrunePolicy): Promise<PruneReport> {
    const shape = { ofWorkflow: policy.workflowId !== null, keeps: policy.keepLast > 0 };
    const criteria = {
      statuses: JSON.stringify(policy.statuses),
      workflowId: policy.workflowId,
      olderThan: policy.olderThan.getTime(),
      beforeOldestKept: policy.keepLast - 1,
    };
    const totals = [0, 0, 0, 0, 0, 0];
    const refused: RefusedRun[] = [];
    let refusedRuns = 0;
    const pagesBefore = await readPages();
    const add = (measured: StatementResult | undefined, sign: 1 | -1) => {
      for (const [index, value] of (measured?.rows[0] ?? []).entries()) {
        totals[index] = (totals[index] ?? 0) + sign * Number(value);
      }
    };
    const refuse = (runId: string, error: ConstraintError) => {
      refusedRuns += 1;
      if (refused.length < namedRefusals) refused.push({ runId, error });
    };

    /** Deletes a batch; one that an app's constraint refuses, in halves, so that all others go. */
    const remove = async (runIds: readonly string[]): Promise<void> => {
      const batch = { ...criteria, runIds: JSON.stringify(runIds) };
      const measure = statements.maintenance.measure(shape).bind(batch);
      const going = statements.maintenance.going(shape).bind(batch);
      try {
        const [before, , after, left] = await connection.write(
          [measure, statements.maintenance.prune(shape).bind(batch), measure, going],
          { signal: policy.signal },
        );
        add(before, 1);
        add(after, -1);
        // A trigger of the app let the statement pass and kept the row.
        for (const [runId] of left?.rows ?? []) {
          refuse(textOf(runId), new ConstraintError({ kind: "trigger", table: codecs.run.table }));
        }
      } catch (error) {
        if (!(error instanceof ConstraintError)) throw error;
        const half = Math.ceil(runIds.length / 2);
        if (half === runIds.length) {
          refuse(runIds[0] ?? "", error);
          return;
        }
        await remove(runIds.slice(0, half));
        await remove(runIds.slice(half));
      }
    };

    for await (const runIds of candidates(policy, shape.ofWorkflow, criteria)) {
      policy.signal?.throwIfAborted();
      if (policy.dryRun) {
        const batch = { ...criteria, runIds: JSON.stringify(runIds) };
        const [measured] = await connection.read([
          statements.maintenance.measure(shape).bind(batch),
        ]);
        add(measured, 1);
      } else {
        await remove(runIds);
      }
      policy.onProgress?.({ deletedRuns: totals[0] ?? 0 });
      await nextTurn();
    }
    const orphans = await removeOrphans(policy);
    if (!policy.dryRun) await giveSpaceBack(policy.signal);
    const [count] = await readRows(connection, statements.maintenance.countRuns.bind({}));
    const remaining = Number(count?.[0] ?? 0);
    const pagesAfter = await readPages();
    const [runs = 0, steps = 0, attempts = 0, outputs = 0, state = 0, bytes = 0] = totals;
    return {
      dryRun: policy.dryRun,
      deletedRuns: runs,
      deletedStepExecutions: steps,
      deletedStepAttempts: attempts,
      deletedStepOutputs: outputs,
      deletedState: state,
      deletedOrphans: orphans,
      refusedRuns,
      refused,
      remainingRuns: policy.dryRun ? remaining - runs : remaining,
      deletedBytes: bytes,
      freedBytes:
        pagesBefore === null || pagesAfter === null
          ? null
          : Math.max(0, pagesBefore.bytes - pagesAfter.bytes),
    };
  }

  /** Batches of run ids that the policy may name: the completed ones by completion, then those without one. */
  async function* candidates(
    policy: ParsedPrunePolicy,
    ofWorkflow: boolean,
    criteria: Record<"statuses" | "workflowId" | "olderThan", Cell>,
  ): AsyncGenerator<string[]> {
    const completed = statements.maintenance.completedCandidates(ofWorkflow);
    for (let after = beginning; ;) {
      const rows = await readRows(
        connection,
        completed.bind({ ...criteria, ...timeArguments(after), limit: policy.batchSize }),
      );
      if (rows.length > 0) yield rows.map(([runId]) => textOf(runId));
      const last = rows.at(-1);
      if (last === undefined || rows.length < policy.batchSize) break;
      after = positionOf(["runId", "createdAt"], last);
    }
    const walk = statements.maintenance.walkStatus(ofWorkflow);
    for (const status of policy.statuses) {
      const pages = walkedPages(policy, {
        name: status,
        // Runs that have not ended are named on purpose: all of them are looked at.
        whole: !isFinalRunStatus(status),
        first: [beginning.createdAt, beginning.runId],
        read: ([createdAt = null, runId = null]) =>
          walk.bind({
            ...criteria,
            afterTime: createdAt,
            afterRunId: runId,
            status,
            limit: walkedRows,
          }),
        keyOf: (row) => [positionCell(row[1]), positionCell(row[0])],
      });
      for await (const { rows } of pages) {
        const going = rows.filter((row) => row[2] === 1).map((row) => textOf(row[0]));
        for (let start = 0; start < going.length; start += policy.batchSize) {
          yield going.slice(start, start + policy.batchSize);
        }
      }
    }
  }

  /** Children whose run is gone: somebody deleted it with foreign keys off. Returns how many. */
  async function removeOrphans(policy: ParsedPrunePolicy): Promise<number> {
    let removed = 0;
    for (const [
      table,
      { keyLength, walk, delete: remove },
    ] of statements.maintenance.orphans.entries()) {
      const places = Array.from({ length: keyLength }, (_, index) => index);
      const named = (name: string, key: readonly Argument[]) =>
        Object.fromEntries(places.map((place) => [`${name}${place}`, key[place] ?? ""]));
      const keyOf = (row: readonly unknown[]) => places.map((place) => positionCell(row[place]));
      const pages = walkedPages(policy, {
        name: `orphans ${table}`,
        whole: false,
        first: places.map(() => ""),
        read: (after) => walk.bind({ ...named("after", after), limit: walkedRows }),
        keyOf,
      });
      for await (const { rows, after } of pages) {
        const orphaned = rows.filter((row) => row.at(-1) === 1).length;
        const last = rows.at(-1);
        if (orphaned === 0 || last === undefined) continue;
        if (policy.dryRun) {
          removed += orphaned;
          continue;
        }
        const [deleted] = await connection.write(
          [remove.bind({ ...named("after", after), ...named("last", keyOf(last)) })],
          { signal: policy.signal },
        );
        removed += deleted?.changes ?? 0;
      }
    }
    return removed;
  }

  /** A walk over rows, a page at a time: over all of them, or over the next ones since the prune before. */
  async function* walkedPages(
    policy: ParsedPrunePolicy,
    { name, whole, first, read, keyOf }: RowWalk,
  ): AsyncGenerator<{ rows: StatementResult["rows"]; after: readonly Argument[] }> {
    const before = whole || policy.dryRun ? undefined : reached.get(name);
    let left = before === undefined ? Infinity : rewalkedRows;
    let after = before ?? first;
    let wrapped = before === undefined || before === first;
    while (left > 0) {
      policy.signal?.throwIfAborted();
      // Each page continues the one before.
      const rows = await readRows(connection, read(after));
      yield { rows, after };
      left -= rows.length;
      const last = rows.at(-1);
      if (last !== undefined && rows.length === walkedRows) {
        after = keyOf(last);
      } else {
        after = first;
        if (wrapped) break;
        wrapped = true;
      }
      await nextTurn();
    }
    if (!policy.dryRun) reached.set(name, after);
  }

  /**
   * Gives free pages back to the file system, where that is asked for page by page: a few at a time, so that
   * nobody waits for long. What an earlier prune has left, when it was stopped, goes too; what this one cannot give
   * back beside other writers is left to the next. It never fails: what was to be deleted is.
   */
  async function giveSpaceBack(signal: AbortSignal | undefined): Promise<void> {
    let pages = await readPages();
    while (pages?.isIncremental === true && pages.freePages > 0) {
      if (signal?.aborted === true) break;
      if (!(await runMaintenance(`pragma incremental_vacuum(${pagesGivenBack})`))) return;
      const before = pages.freePages;
      pages = await readPages();
      // Others may free pages faster than they are given back.
      if (pages === null || pages.freePages >= before) break;
      await nextTurn();
    }
    // Until then the file keeps its size, and the log the pages that were moved.
    await runMaintenance("pragma wal_checkpoint(truncate)");
  }

  /** Runs a statement that the prune can do without, when other writers let it; false if they do not. */
  async function runMaintenance(script: string): Promise<boolean> {
    if (connection.runScript === undefined) return false;
    try {
      await retry(
        () => connection.runScript?.(script),
        retryFor(vacuumPatienceMs, (error) => error instanceof StoreBusyError, new Backoff(5, 5)),
      );
      return true;
    } catch (error) {
      if (error instanceof GorkflowError) return false;
      throw error;
    }
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
      if (error instanceof GorkflowError) return null;
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
  const time = typeof cell === "number" ? new Date(cell) : null;
  return time === null || Number.isNaN(time.getTime()) ? null : time;
}

function timeArguments({ createdAt, runId }: StoredPosition) {
  return { afterTime: createdAt, afterRunId: runId };
}
