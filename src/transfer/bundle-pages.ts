import * as z from "zod/mini";
import type { CorruptRowError } from "../errors.ts";
import type { RunBundle } from "../model/bundles.ts";
import { callbackSchema, operationShape } from "../model/arguments.ts";
import { runFilterSchema, type RunFilter } from "../model/run-queries.ts";
import type { BundlePage } from "../store/bundles.ts";
import type { OperationOptions } from "../store/options.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";

/** Which runs a transfer includes, and what ends it. */
export interface BundleScan extends OperationOptions {
  readonly filter?: RunFilter | undefined;
}

/** The options that transfers share. */
export function transferShape<Progress>() {
  return {
    filter: z.optional(runFilterSchema),
    onProgress: callbackSchema<Progress>(),
    ...operationShape,
  };
}

/** Runs that are read, compared or stored together. */
export const batchRuns = 100;

/** The workflow of the runs by which `isSameDatabase` compares databases, and the beginning of their ids. */
export const probeWorkflowId = "gorkflow-probe";

/** True for a run that `isSameDatabase` wrote. A killed process leaves it behind; no transfer includes it. */
export function isProbe({ runId }: { readonly runId: string }): boolean {
  return runId.startsWith(`${probeWorkflowId}:`);
}

/** All pages of a list. The next page is read while the caller uses this one. */
export async function* pagesOf<Page extends { readonly nextCursor: string | null }>(
  read: (cursor: string | null) => Promise<Page>,
): AsyncGenerator<Page> {
  let next: Promise<Page> | null = read(null);
  while (next !== null) {
    const page: Page = await next;
    next = page.nextCursor === null ? null : read(page.nextCursor);
    // A caller that stops early never awaits this page.
    next?.catch(() => undefined);
    yield page;
  }
}

/** All bundles of a store, oldest first. */
export async function* bundlePages(
  store: WorkflowStore,
  { filter, signal }: BundleScan,
): AsyncGenerator<BundlePage> {
  for await (const page of pagesOf((cursor) => store.readBundles({ filter, cursor, signal }))) {
    yield { ...page, bundles: page.bundles.filter(({ run }) => !isProbe(run)) };
  }
}

/** The bundles of any number of runs. */
export async function* namedPages(
  store: WorkflowStore,
  runIds: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<BundlePage> {
  for (let start = 0; start < runIds.length; start += batchRuns) {
    const some = runIds.slice(start, start + batchRuns);
    yield* pagesOf((cursor) => store.readBundles({ runIds: some, cursor, signal }));
  }
}

/** The bundles of these runs by id, and the errors of those that cannot be read. */
export async function bundlesById(
  store: WorkflowStore,
  runIds: readonly string[],
  signal?: AbortSignal,
) {
  const bundles = new Map<string, RunBundle>();
  const corrupt: CorruptRowError[] = [];
  for await (const page of namedPages(store, runIds, signal)) {
    for (const bundle of page.bundles) bundles.set(bundle.run.runId, bundle);
    corrupt.push(...page.corrupt);
  }
  return { bundles, corrupt };
}

/** The run of an unreadable cell. */
export function runIdOfCell({ key }: CorruptRowError): string {
  return key["run_id"] ?? "";
}
