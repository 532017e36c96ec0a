import { callUntilAborted } from "../../../async/abort.ts";
import { nextTurn } from "../../../async/pause.ts";
import { Backoff, retry, retryFor } from "../../../async/retry.ts";
import { ConstraintError, GorkflowError, StoreBusyError } from "../../../errors.ts";
import type { ParsedPrunePolicy, PruneReport, RefusedRun } from "../../../model/retention.ts";
import { everyRun } from "../../../model/run-queries.ts";
import { isFinalRunStatus } from "../../../model/transitions.ts";
import { undecidedError } from "../../undecided-error.ts";
import { textOf, type StatementResult } from "../connections/connection.ts";
import { walkedRows } from "../statements/maintenance.ts";
import { positionCell } from "../statements/run-filters.ts";
import type { Argument, BoundStatement } from "../statements/statement.ts";
import { readRows, type StoreContext } from "./context.ts";
import { countRuns } from "./runs.ts";

type Row = readonly unknown[];
type Rows = readonly Row[];

/** A position before all rows: no time is earlier, and no run id sorts before the empty one. */
const beginning: readonly Argument[] = [Number.MIN_SAFE_INTEGER, ""];

/**
 * The rows of a table that a prune reads to find rows that are rare. It continues where the prune before it ended. The first
 * prune of a store, and every dry run, reads all rows.
 */
const rewalkedRows = 50_000;

/** The number of refused runs that a report names. */
const namedRefusals = 100;

/** The number of refused orphans that a prune looks for one by one. */
const maxRefusedOrphans = 100;

/** How long each step of the vacuum waits for other writers. */
const vacuumPatienceMs = 2000;

/** SQLite's number for `auto_vacuum = incremental`. */
const incrementalVacuum = 2;

/** The pages that one transaction frees. It takes as long as the deletion of a batch of runs. */
const freedPages = 128;

/** What a prune has deleted so far, or would delete. */
interface Deleted {
  /** Runs, steps, attempts, outputs, state values, and the bytes of their values. */
  readonly totals: number[];
  orphans: number;
}

/** A walk over the rows of a table, by key. */
interface RowWalk {
  readonly name: string;
  /** True if every prune reads all rows. */
  readonly whole: boolean;
  /** A key before all others. */
  readonly first: readonly Argument[];
  /** The next rows after a key. */
  read(after: readonly Argument[]): BoundStatement;
  keyOf(row: Row): readonly Argument[];
}

interface DatabasePages {
  readonly bytes: number;
  readonly freePages: number;
  readonly freeBytes: number;
  /** True if free pages are returned to the file system on request. */
  readonly isIncremental: boolean;
}

/** Returns the `pruneRuns` of a store, which remembers the ends of its walks. */
export function createPruning(
  context: StoreContext,
): (policy: ParsedPrunePolicy) => Promise<PruneReport> {
  const { connection, codecs, statements } = context;

  /** The keys at which the walks of this store have ended, by name. */
  const reached = new Map<string, readonly Argument[]>();

  return async (policy) => {
    const deleted = { totals: [0, 0, 0, 0, 0, 0], orphans: 0 };
    try {
      return await prune(policy, deleted);
    } catch (error) {
      const isWritten = !policy.dryRun && (deleted.totals[0] !== 0 || deleted.orphans !== 0);
      throw isWritten ? undecidedError(error) : error;
    }
  };

  async function prune(policy: ParsedPrunePolicy, deleted: Deleted): Promise<PruneReport> {
    const { signal, dryRun } = policy;
    const { totals } = deleted;
    const shape = { ofWorkflow: policy.workflowId !== undefined, keeps: policy.keepLast > 0 };
    const criteria = {
      statuses: JSON.stringify(policy.statuses),
      workflowId: policy.workflowId ?? null,
      olderThan: policy.olderThan.getTime(),
      beforeOldestKept: policy.keepLast - 1,
    };
    const refused: RefusedRun[] = [];
    let refusedRuns = 0;
    const pagesBefore = await readPages(context);
    const add = (measured: StatementResult | undefined, sign: 1 | -1) => {
      for (const [index, value] of (measured?.rows[0] ?? []).entries()) {
        totals[index] = (totals[index] ?? 0) + sign * Number(value);
      }
    };
    const refuse = (runId: string, error: ConstraintError) => {
      refusedRuns += 1;
      if (refused.length < namedRefusals) refused.push({ runId, error });
    };

    /** Deletes a batch. If a constraint of the app rejects it, deletes each half, so that only the rejected runs stay. */
    const remove = async (runIds: readonly string[]): Promise<void> => {
      const batch = { ...criteria, runIds: JSON.stringify(runIds) };
      const measure = statements.maintenance.measure(shape).bind(batch);
      if (dryRun) {
        add((await connection.read([measure]))[0], 1);
        return;
      }
      const removal = statements.maintenance.prune(shape).bind(batch);
      const going = statements.maintenance.going(shape).bind(batch);
      try {
        const [before, , after, left] = await connection.write([measure, removal, measure, going], {
          signal,
        });
        add(before, 1);
        add(after, -1);
        // A trigger of the app kept these rows without an error.
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
      signal?.throwIfAborted();
      await remove(runIds);
      await callUntilAborted(policy.onProgress, { deletedRuns: totals[0] ?? 0 }, signal);
      await nextTurn();
    }
    await removeOrphans(policy, deleted);
    if (!dryRun) await vacuum(context, signal);
    const [count] = await readRows(connection, statements.maintenance.countRuns.bind({}));
    const remaining = Number(count?.[0] ?? 0);
    const pagesAfter = await readPages(context);
    const [runs = 0, steps = 0, attempts = 0, outputs = 0, state = 0, bytes = 0] = totals;
    return {
      dryRun,
      deletedRuns: runs,
      deletedStepExecutions: steps,
      deletedStepAttempts: attempts,
      deletedStepOutputs: outputs,
      deletedState: state,
      deletedOrphans: deleted.orphans,
      refusedRuns,
      refused,
      remainingRuns: dryRun ? remaining - runs : remaining,
      deletedBytes: bytes,
      freedBytes: pagesBefore && pagesAfter && Math.max(0, pagesBefore.bytes - pagesAfter.bytes),
    };
  }

  /** The ids of runs that match the policy, in batches: first those with a `completedAt`, then the others. */
  async function* candidates(
    policy: ParsedPrunePolicy,
    ofWorkflow: boolean,
    criteria: Record<"statuses" | "workflowId" | "olderThan", Argument>,
  ): AsyncGenerator<string[]> {
    const positionAfter = ([afterTime = null, afterRunId = null]: readonly Argument[]) => ({
      ...criteria,
      afterTime,
      afterRunId,
    });
    const completed = statements.maintenance.completedCandidates(ofWorkflow);
    for (let after = beginning; ;) {
      const statement = completed.bind({ ...positionAfter(after), limit: policy.batchSize });
      const rows = await readRows(connection, statement);
      if (rows.length > 0) yield rows.map(([runId]) => textOf(runId));
      const last = rows.at(-1);
      if (last === undefined || rows.length < policy.batchSize) break;
      after = positionOf(last);
    }
    const walk = statements.maintenance.walkStatus(ofWorkflow);
    for (const status of policy.statuses) {
      const pages = walkPages(policy, {
        name: status,
        // A policy that names unfinished runs expects to find some.
        whole: !isFinalRunStatus(status),
        first: beginning,
        read: (after) => walk.bind({ ...positionAfter(after), status, limit: walkedRows }),
        keyOf: positionOf,
      });
      for await (const { rows } of pages) {
        const going = rows.filter((row) => row[2] === 1).map((row) => textOf(row[0]));
        for (let start = 0; start < going.length; start += policy.batchSize) {
          yield going.slice(start, start + policy.batchSize);
        }
      }
    }
  }

  /**
   * Deletes children whose run does not exist, because it was deleted with foreign keys off. Those that a constraint of the
   * app protects stay.
   */
  async function removeOrphans(policy: ParsedPrunePolicy, deleted: Deleted): Promise<void> {
    const { signal, dryRun } = policy;
    let refused = 0;
    for (const { part, keyLength, walk, delete: statement } of statements.maintenance.orphans) {
      const places = Array.from({ length: keyLength }, (_, index) => index);
      const keyOf = (row: Row) => places.map((place) => positionCell(row[place]));
      /** Deletes the orphans of `rows`, which follow the key `after`. If one is refused, deletes each half. */
      const remove = async (rows: Rows, after: readonly Argument[]): Promise<void> => {
        const last = rows.findLast(isOrphan);
        if (last === undefined) return;
        const range = { ...named("after", after), ...named("last", keyOf(last)) };
        try {
          const [result] = await connection.write([statement.bind(range)], { signal });
          deleted.orphans += result?.changes ?? 0;
        } catch (error) {
          if (!(error instanceof ConstraintError)) throw error;
          const half = Math.ceil(rows.length / 2);
          // Many of them would take many statements at every prune.
          if (half === rows.length || refused >= maxRefusedOrphans) refused += 1;
          else {
            await remove(rows.slice(0, half), after);
            await remove(rows.slice(half), keyOf(rows[half - 1] ?? last));
          }
        }
      };
      const pages = walkPages(policy, {
        name: `orphans ${part}`,
        whole: false,
        first: places.map(() => ""),
        read: (after) => walk.bind({ ...named("after", after), limit: walkedRows }),
        keyOf,
      });
      for await (const { rows, after } of pages) {
        if (dryRun) deleted.orphans += rows.filter(isOrphan).length;
        else await remove(rows, after);
      }
    }
  }

  /** Walks over all rows, or over the next ones after the walk before, a page at a time. */
  async function* walkPages(
    policy: ParsedPrunePolicy,
    { name, whole, first, read, keyOf }: RowWalk,
  ): AsyncGenerator<{ rows: Rows; after: readonly Argument[] }> {
    const before = whole || policy.dryRun ? undefined : reached.get(name);
    let left = before === undefined ? Infinity : rewalkedRows;
    let after = before ?? first;
    let wrapped = before === undefined || before === first;
    while (left > 0) {
      policy.signal?.throwIfAborted();
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
}

/**
 * Returns free pages to the file system if the database has an incremental vacuum, a few at a time, so that other writers do
 * not wait for long. Never fails. Pages that cannot be returned beside other writers are left to the next prune.
 */
async function vacuum(context: StoreContext, signal: AbortSignal | undefined): Promise<void> {
  let pages = await readPages(context);
  while (pages?.isIncremental === true && pages.freePages > 0) {
    if (signal?.aborted === true) break;
    if (!(await runMaintenance(context, `pragma incremental_vacuum(${freedPages})`))) return;
    const before = pages.freePages;
    pages = await readPages(context);
    // Other writers may free pages faster than they are returned.
    if (pages === null || pages.freePages >= before) break;
    await nextTurn();
  }
  // Until the checkpoint, the file keeps its size, and the log has the moved pages.
  await runMaintenance(context, "pragma wal_checkpoint(truncate)");
}

/** Runs an optional statement. Returns false if other writers do not allow it, or the database rejects it. */
async function runMaintenance({ connection }: StoreContext, script: string): Promise<boolean> {
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

/** The size and the free space of the database; null if the server rejects the query. */
async function readPages({ connection, statements }: StoreContext): Promise<DatabasePages | null> {
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
    if (error instanceof GorkflowError) return null;
    throw error;
  }
}

export async function readStats(context: StoreContext) {
  const [cells = []] = await readRows(
    context.connection,
    context.statements.maintenance.stats.bind({}),
  );
  const [workflowRuns = 0, stepExecutions = 0, stepAttempts = 0, ...others] = cells.map(Number);
  const [stepOutputs = 0, workflowState = 0] = others;
  const pages = await readPages(context);
  return {
    rows: { workflowRuns, stepExecutions, stepAttempts, stepOutputs, workflowState },
    counts: await countRuns(context, everyRun),
    bytes: pages?.bytes ?? null,
    freeBytes: pages?.freeBytes ?? null,
    oldestRunAt: timeOf(cells.at(-2)),
    newestRunAt: timeOf(cells.at(-1)),
  };
}

/** The position of a row that begins with a run id and a time. */
function positionOf(row: Row): readonly Argument[] {
  return [positionCell(row[1]), positionCell(row[0])];
}

/** The cells of a key as the arguments `name0`, `name1` and so on. */
function named(name: string, key: readonly Argument[]): Record<string, Argument> {
  return Object.fromEntries(key.map((cell, place) => [`${name}${place}`, cell]));
}

function timeOf(cell: unknown): Date | null {
  const time = typeof cell === "number" ? new Date(cell) : null;
  return time === null || Number.isNaN(time.getTime()) ? null : time;
}

function isOrphan(row: Row): boolean {
  return row.at(-1) === 1;
}
