import type { CorruptRowError } from "../errors.ts";
import type { RunBundle } from "../model/bundles.ts";
import type { RunFilter } from "../model/run-queries.ts";
import type { BundlePage } from "../store/bundles.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";

export interface BundleScan {
  readonly filter?: RunFilter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * All bundles of a store, a page at a time, oldest first. The next page is read while the last one is used; no
 * more than two are held.
 */
export async function* bundlePages(
  store: WorkflowStore,
  { filter, signal }: BundleScan,
): AsyncGenerator<BundlePage> {
  const read = (cursor: string | null): Promise<BundlePage> => {
    const page = store.readBundles({ filter, cursor, signal });
    // It is awaited below, unless the reader has had enough before: then nobody wants its error.
    page.catch(() => undefined);
    return page;
  };
  let next: Promise<BundlePage> | null = read(null);
  while (next !== null) {
    const page: BundlePage = await next;
    next = page.nextCursor === null ? null : read(page.nextCursor);
    yield page;
  }
}

/** The bundles of these runs, in as many pages as they need. */
export async function* namedPages(
  store: WorkflowStore,
  runIds: readonly string[],
  { filter, signal }: BundleScan,
): AsyncGenerator<BundlePage> {
  if (runIds.length === 0) return;
  let cursor: string | null = null;
  do {
    const page: BundlePage = await store.readBundles({ runIds, filter, cursor, signal });
    yield page;
    cursor = page.nextCursor;
  } while (cursor !== null);
}

/** What a store holds of named runs: the bundles that can be read, and the errors of the others. */
export interface FoundBundles {
  readonly bundles: ReadonlyMap<string, RunBundle>;
  readonly corrupt: readonly CorruptRowError[];
}

export async function bundlesById(
  store: WorkflowStore,
  runIds: readonly string[],
  scan: BundleScan,
): Promise<FoundBundles> {
  const bundles = new Map<string, RunBundle>();
  const corrupt: CorruptRowError[] = [];
  for await (const page of namedPages(store, runIds, scan)) {
    for (const bundle of page.bundles) bundles.set(bundle.run.runId, bundle);
    for (const error of page.corrupt) corrupt.push(error);
  }
  return { bundles, corrupt };
}
