import type { CorruptRowError } from "../errors.ts";
import { isFinalRunStatus } from "../model/transitions.ts";
import type { WorkflowRunSummary } from "../schema/rows.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import type { BundleScan } from "./bundle-pages.ts";
import { mergeRuns, type Merged } from "./run-merge.ts";

/** The runs of two stores by their lists, which are far smaller than bundles; newest first. */
export function mergeLists(
  first: WorkflowStore,
  second: WorkflowStore,
  scan: BundleScan,
  onUnreadable: (errors: readonly CorruptRowError[]) => void = () => undefined,
): AsyncGenerator<Merged<WorkflowRunSummary>> {
  return mergeRuns(
    summariesOf(first, scan, onUnreadable),
    // A run that cannot be read in the second counts as missing there.
    summariesOf(second, scan, () => undefined),
    { direction: -1, positionOf: (run) => run },
  );
}

async function* summariesOf(
  store: WorkflowStore,
  { filter, signal }: BundleScan,
  onUnreadable: (errors: readonly CorruptRowError[]) => void,
): AsyncGenerator<WorkflowRunSummary> {
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<WorkflowStore["listRuns"]>> = await store.listRuns({
      ...filter,
      limit: 1000,
      cursor,
      signal,
    });
    onUnreadable(page.corrupt);
    yield* page.runs;
    cursor = page.nextCursor;
  } while (cursor !== null);
}

/** True when the run's row has not changed since. Steps, outputs and state change without it. */
export function isSameRevision(a: WorkflowRunSummary, b: WorkflowRunSummary): boolean {
  return (
    a.status === b.status &&
    a.revision === b.revision &&
    a.updatedAt.getTime() === b.updatedAt.getTime()
  );
}

/** True when the copy is complete as far as lists tell. A run that has not ended is copied again. */
export function isFinishedCopy(copy: WorkflowRunSummary, run: WorkflowRunSummary): boolean {
  return isFinalRunStatus(run.status) && isSameRevision(copy, run);
}
