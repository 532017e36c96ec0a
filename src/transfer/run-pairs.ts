import type { CorruptRowError } from "../errors.ts";
import type { RunBundle } from "../model/bundles.ts";
import { comparePositions } from "../model/cursors.ts";
import { matchesFilter, parseCountFilter } from "../model/run-queries.ts";
import type { WorkflowRunSummary } from "../schema/rows.ts";
import { isId } from "../schema/zod.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import {
  batchRuns,
  bundlesById,
  namedPages,
  runIdOfCell,
  type BundleScan,
} from "./bundle-pages.ts";
import { differenceOf, type RunDifference } from "./compare-bundles.ts";
import { probeRunId } from "./same-database.ts";

/** A run that one store or both list. If neither does, the second store has it and cannot list it. */
export interface ListedPair {
  readonly runId: string;
  readonly first: WorkflowRunSummary | null;
  readonly second: WorkflowRunSummary | null;
}

/** By run id, why runs of each store could not be read. */
export interface UnreadableRuns {
  readonly first: Map<string, CorruptRowError>;
  readonly second: Map<string, CorruptRowError>;
}

export function createUnreadable(): UnreadableRuns {
  return { first: new Map(), second: new Map() };
}

/**
 * The runs of two stores, newest first, paired by their position in the lists. A run with another `createdAt` in the
 * second store comes twice, each time alone. Lists are much smaller than bundles.
 */
export async function* listPairs(
  first: WorkflowStore,
  second: WorkflowStore,
  scan: BundleScan,
  unreadable: UnreadableRuns,
): AsyncGenerator<ListedPair> {
  const unlisted = new Map<string, CorruptRowError>();
  const [left, right] = [
    summariesOf(first, scan, unreadable.first),
    summariesOf(second, scan, unlisted),
  ];
  try {
    let [a, b] = await Promise.all([take(left), take(right)]);
    while (a !== null || b !== null) {
      const order = a === null ? 1 : b === null ? -1 : comparePositions(b, a);
      const [ours, theirs] = [order <= 0 ? a : null, order >= 0 ? b : null];
      const runId = (ours ?? theirs)?.runId ?? "";
      if (runId !== probeRunId) yield { runId, first: ours, second: theirs };
      [a, b] = await Promise.all([order <= 0 ? take(left) : a, order >= 0 ? take(right) : b]);
    }
    for (const [runId, error] of unlisted) {
      unreadable.second.set(runId, error);
      if (isId(runId)) yield { runId, first: null, second: null };
    }
  } finally {
    await Promise.all([left.return(undefined), right.return(undefined)]);
  }
}

async function take<T>(items: AsyncIterator<T>): Promise<T | null> {
  const next = await items.next();
  return next.done === true ? null : next.value;
}

async function* summariesOf(
  store: WorkflowStore,
  { filter, signal }: BundleScan,
  unreadable: Map<string, CorruptRowError>,
): AsyncGenerator<WorkflowRunSummary> {
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<WorkflowStore["listRuns"]>> = await store.listRuns({
      ...filter,
      limit: 1000,
      cursor,
      signal,
    });
    note(page.corrupt, unreadable);
    yield* page.runs;
    cursor = page.nextCursor;
  } while (cursor !== null);
}

function note(errors: readonly CorruptRowError[], unreadable: Map<string, CorruptRowError>): void {
  for (const error of errors) unreadable.set(runIdOfCell(error), error);
}

/** True if the run's row has not changed. Steps, outputs and state change without it. */
export function isSameRevision(a: WorkflowRunSummary, b: WorkflowRunSummary): boolean {
  return (
    a.status === b.status &&
    a.revision === b.revision &&
    a.updatedAt.getTime() === b.updatedAt.getTime()
  );
}

export interface ComparedRun {
  readonly runId: string;
  /** The run in the first store; null if it is not there. */
  readonly bundle: RunBundle | null;
  /** Null if both stores hold the run alike. A run that the second store cannot read counts as missing there. */
  readonly difference: RunDifference | null;
}

/**
 * Compares the runs that two stores list, a page at a time, except pairs that `skip` accepts. Adds unreadable runs to
 * `unreadable`; those of the first store are not compared.
 */
export async function* compareRuns(
  first: WorkflowStore,
  second: WorkflowStore,
  scan: BundleScan,
  unreadable: UnreadableRuns,
  skip: (pair: ListedPair) => boolean = () => false,
): AsyncGenerator<readonly ComparedRun[]> {
  const filter = parseCountFilter(scan.filter ?? {});
  let pairs = new Map<string, ListedPair>();
  for await (const pair of listPairs(first, second, scan, unreadable)) {
    if (skip(pair)) continue;
    // Of a run that comes twice, the pair with the first store's row counts.
    if (pairs.get(pair.runId)?.first == null) pairs.set(pair.runId, pair);
    if (pairs.size < batchRuns) continue;
    yield* compare(pairs);
    pairs = new Map();
  }
  yield* compare(pairs);

  async function* compare(listed: ReadonlyMap<string, ListedPair>) {
    const runIds = [...listed.keys()];
    for await (const page of compareNamed(first, second, runIds, unreadable, scan.signal)) {
      // The first store lists such a run in another place, with another pair.
      const isElsewhere = ({ runId, bundle }: ComparedRun) =>
        bundle !== null && listed.get(runId)?.first === null && matchesFilter(bundle.run, filter);
      yield page.filter((compared) => !isElsewhere(compared));
    }
  }
}

/** Compares these runs as `compareRuns` does. A run that neither store has is left out. */
export async function* compareNamed(
  first: WorkflowStore,
  second: WorkflowStore,
  runIds: readonly string[],
  unreadable: UnreadableRuns,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly ComparedRun[]> {
  const missing = new Set(runIds);
  for await (const { bundles, corrupt } of namedPages(first, runIds, signal)) {
    note(corrupt, unreadable.first);
    const ids = bundles.map(({ run }) => run.runId);
    for (const runId of [...ids, ...corrupt.map(runIdOfCell)]) missing.delete(runId);
    const copies = await bundlesById(second, ids, signal);
    note(copies.corrupt, unreadable.second);
    yield bundles.map((bundle) => {
      const { runId } = bundle.run;
      return { runId, bundle, difference: differenceOf(runId, bundle, copies.bundles.get(runId)) };
    });
  }
  for await (const { bundles, corrupt } of namedPages(second, [...missing], signal)) {
    note(corrupt, unreadable.second);
    const ids = [...bundles.map(({ run }) => run.runId), ...corrupt.map(runIdOfCell)];
    yield ids.map((runId) => ({
      runId,
      bundle: null,
      difference: { runId, kind: "missing in the first", details: [] },
    }));
  }
}
