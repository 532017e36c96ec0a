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
  isProbe,
  namedPages,
  pagesOf,
  runIdOfCell,
  type BundleScan,
} from "./bundle-pages.ts";
import { differenceOf, type RunDifference } from "./compare-bundles.ts";

/** A run that one store or both list. If neither does, the second store has it and cannot list it. */
export interface ListedPair {
  readonly runId: string;
  readonly first: WorkflowRunSummary | null;
  readonly second: WorkflowRunSummary | null;
}

export interface ComparedRun {
  readonly runId: string;
  /** The run in the first store; null if it is not there. */
  readonly bundle: RunBundle | null;
  /** Null if both stores hold the run alike. A run that the second store cannot read counts as missing there. */
  readonly difference: RunDifference | null;
}

/** Compares the runs of two stores, and notes those that cannot be read. */
export class StoreComparison {
  /** By run id, why runs of each store could not be read. Those of the first store are not compared. */
  readonly unreadable = {
    first: new Map<string, CorruptRowError>(),
    second: new Map<string, CorruptRowError>(),
  };
  readonly #first: WorkflowStore;
  readonly #second: WorkflowStore;
  readonly #scan: BundleScan;

  constructor(first: WorkflowStore, second: WorkflowStore, scan: BundleScan = {}) {
    this.#first = first;
    this.#second = second;
    this.#scan = scan;
  }

  /**
   * The runs of both stores, newest first, paired by their position in the lists. A run with another `createdAt` in the
   * second store comes twice, each time alone. Lists are much smaller than bundles.
   */
  async *pairs(): AsyncGenerator<ListedPair> {
    const unlisted = new Map<string, CorruptRowError>();
    const left = summariesOf(this.#first, this.#scan, this.unreadable.first);
    const right = summariesOf(this.#second, this.#scan, unlisted);
    try {
      let [a, b] = await Promise.all([take(left), take(right)]);
      while (a !== null || b !== null) {
        const order = a === null ? 1 : b === null ? -1 : comparePositions(b, a);
        const [first, second] = [order <= 0 ? a : null, order >= 0 ? b : null];
        const runId = (first ?? second)?.runId ?? "";
        if (!isProbe({ runId })) yield { runId, first, second };
        [a, b] = await Promise.all([order <= 0 ? take(left) : a, order >= 0 ? take(right) : b]);
      }
    } finally {
      await Promise.all([left.return(undefined), right.return(undefined)]);
    }
    for (const [runId, error] of unlisted) {
      this.unreadable.second.set(runId, error);
      if (isId(runId)) yield { runId, first: null, second: null };
    }
  }

  /** Compares all runs, a page at a time, except pairs that `skip` accepts. */
  async *runs(
    skip: (pair: ListedPair) => boolean | Promise<boolean> = () => false,
  ): AsyncGenerator<readonly ComparedRun[]> {
    const filter = parseCountFilter(this.#scan.filter ?? {});
    for await (const pairs of this.#batches(skip)) {
      for await (const page of this.named([...pairs.keys()])) {
        // The first store lists such a run in another place, with another pair.
        const isElsewhere = ({ runId, bundle }: ComparedRun) =>
          bundle !== null && pairs.get(runId)?.first === null && matchesFilter(bundle.run, filter);
        yield page.filter((compared) => !isElsewhere(compared));
      }
    }
  }

  async *#batches(
    skip: (pair: ListedPair) => boolean | Promise<boolean>,
  ): AsyncGenerator<ReadonlyMap<string, ListedPair>> {
    let pairs = new Map<string, ListedPair>();
    for await (const pair of this.pairs()) {
      if (await skip(pair)) continue;
      // Of a run that comes twice, the pair with the first store's row counts.
      if (pairs.get(pair.runId)?.first == null) pairs.set(pair.runId, pair);
      if (pairs.size < batchRuns) continue;
      yield pairs;
      pairs = new Map();
    }
    yield pairs;
  }

  /** Compares these runs. A run that neither store has is left out. */
  async *named(runIds: readonly string[]): AsyncGenerator<readonly ComparedRun[]> {
    const { signal } = this.#scan;
    const missing = new Set(runIds);
    for await (const { bundles, corrupt } of namedPages(this.#first, runIds, signal)) {
      note(corrupt, this.unreadable.first);
      const ids = bundles.map(({ run }) => run.runId);
      for (const runId of [...ids, ...corrupt.map(runIdOfCell)]) missing.delete(runId);
      const copies = await bundlesById(this.#second, ids, signal);
      note(copies.corrupt, this.unreadable.second);
      yield bundles.map((bundle) => {
        const { runId } = bundle.run;
        const difference = differenceOf(runId, bundle, copies.bundles.get(runId));
        return { runId, bundle, difference };
      });
    }
    for await (const { bundles, corrupt } of namedPages(this.#second, [...missing], signal)) {
      note(corrupt, this.unreadable.second);
      const ids = [...bundles.map(({ run }) => run.runId), ...corrupt.map(runIdOfCell)];
      yield ids.map((runId) => ({
        runId,
        bundle: null,
        difference: { runId, kind: "missing in the first", details: [] },
      }));
    }
  }
}

async function take<T>(items: AsyncIterator<T, undefined>): Promise<T | null> {
  return (await items.next()).value ?? null;
}

async function* summariesOf(
  store: WorkflowStore,
  { filter, signal }: BundleScan,
  unreadable: Map<string, CorruptRowError>,
): AsyncGenerator<WorkflowRunSummary, undefined> {
  const query = { ...filter, limit: 1000, signal };
  for await (const page of pagesOf((cursor) => store.listRuns({ ...query, cursor }))) {
    note(page.corrupt, unreadable);
    yield* page.runs;
  }
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
