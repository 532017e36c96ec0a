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
  { signal }: BundleScan,
): AsyncGenerator<BundlePage> {
  if (runIds.length === 0) return;
  let cursor: string | null = null;
  do {
    const page: BundlePage = await store.readBundles({ runIds, cursor, signal });
    yield page;
    cursor = page.nextCursor;
  } while (cursor !== null);
}

/** The bundles of these runs by their ids: those that are there, and can be read. */
export async function bundlesById(
  store: WorkflowStore,
  runIds: readonly string[],
  scan: BundleScan,
): Promise<Map<string, RunBundle>> {
  const bundles = new Map<string, RunBundle>();
  for await (const page of namedPages(store, runIds, scan)) {
    for (const bundle of page.bundles) bundles.set(bundle.run.runId, bundle);
  }
  return bundles;
}
