import { callUntilAborted } from "../async/abort.ts";
import { nextTurn } from "../async/pause.ts";
import {
  ConstraintError,
  CorruptRowError,
  RevisionConflictError,
  RunNotFoundError,
  RunTransitionError,
  type GorkflowError,
} from "../errors.ts";
import { parseBulkFilter, parseBulkOptions, type BulkReport } from "../model/bulk-changes.ts";
import { matchesFilter, parseFilter } from "../model/run-queries.ts";
import { finalRunStatuses, isFinalRunStatus, reopenableRunStatuses } from "../model/transitions.ts";
import type { WorkflowRunSummary } from "../schema/rows.ts";
import { runStatuses, type RunStatus } from "../statuses.ts";
import type { BulkStore } from "../store/bulk-changes.ts";
import type { ExpectedRevisionOptions } from "../store/options.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { undecidedError } from "./undecided-error.ts";

const unfinishedStatuses = runStatuses.filter((status) => !isFinalRunStatus(status));

interface Change {
  readonly allowed: readonly RunStatus[];
  /** The statuses of a filter without statuses. Defaults to `allowed`. */
  readonly defaults?: readonly RunStatus[];
  /** Returns the run for the report, or null if it does not exist. */
  apply(
    run: WorkflowRunSummary,
    options: ExpectedRevisionOptions,
  ): Promise<WorkflowRunSummary | null>;
}

/** The number of refused runs that a report names. */
const namedRefusals = 100;

/** How often a run is read again because another writer changed it. */
const maxAttempts = 10;

/** The bulk changes of a store, made of its other operations. A custom store can use them as its own. */
export function createBulkChanges(
  store: Pick<
    WorkflowStore,
    "listRuns" | "countRuns" | "getRuns" | "updateRun" | "reopenRun" | "deleteRun"
  >,
): BulkStore {
  return {
    cancelRuns: async (filter, options) =>
      change(filter, options, {
        allowed: unfinishedStatuses,
        apply: ({ runId }, own) => store.updateRun(runId, { status: "CANCELLED" }, own),
      }),
    reopenRuns: async (filter, options) =>
      change(filter, options, {
        allowed: reopenableRunStatuses,
        apply: ({ runId }, own) => store.reopenRun(runId, own),
      }),
    deleteRuns: async (filter, options) =>
      change(filter, options, {
        allowed: runStatuses,
        defaults: finalRunStatuses,
        apply: async (run, own) => ((await store.deleteRun(run.runId, own)) ? run : null),
      }),
  };

  async function change(
    given: unknown,
    options: unknown = {},
    { allowed, defaults = allowed, apply }: Change,
  ): Promise<BulkReport> {
    const filter = parseBulkFilter(given, allowed, defaults);
    const { dryRun, batchSize, onProgress, signal } = parseBulkOptions(options);
    if (dryRun) {
      const counts = await store.countRuns({ ...filter, signal });
      const changedRuns = Object.values(counts).reduce((sum, count) => sum + count, 0);
      return { dryRun, changedRuns, refusedRuns: 0, refused: [] };
    }
    // No update makes a run that matches such a filter stop matching. So the revision does not matter, and runs that
    // change all the time can be changed too.
    const isPermanent =
      filter.tags === undefined &&
      filter.resourceId === undefined &&
      allowed.every((status) => filter.status.includes(status));
    let changedRuns = 0;
    let refusedRuns = 0;
    const refused: { runId: string; error: GorkflowError }[] = [];
    const refuse = (runId: string, error: GorkflowError) => {
      refusedRuns += 1;
      if (refused.length < namedRefusals) refused.push({ runId, error });
    };

    /** Changes the runs, and returns those that another writer has changed since they were read. */
    const attempt = async (runs: readonly WorkflowRunSummary[]) => {
      // The writes share commits and round trips, and one that fails does not disturb the others.
      const outcomes = await Promise.allSettled(
        runs.map((run) => {
          const expectedRevision = isPermanent ? undefined : run.revision;
          return apply(run, { expectedRevision, signal });
        }),
      );
      const changed: WorkflowRunSummary[] = [];
      const conflicts: RevisionConflictError[] = [];
      const failures: unknown[] = [];
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome.status === "fulfilled") {
          if (outcome.value !== null) changed.push(outcome.value);
          continue;
        }
        const error: unknown = outcome.reason;
        if (error instanceof RevisionConflictError) conflicts.push(error);
        else if (error instanceof ConstraintError || error instanceof CorruptRowError) {
          refuse(runs[index]?.runId ?? "", error);
        } else if (!isMismatch(error)) failures.push(error);
      }
      changedRuns += changed.length;
      if (changed.length > 0) {
        await callUntilAborted(onProgress, { changedRuns, runs: changed }, signal);
      }
      if (failures.length > 0) throw failures[0];
      return conflicts;
    };

    /** Reads the runs again. Sets aside those that cannot be read any more. */
    const readAgain = async (runIds: readonly string[]): Promise<WorkflowRunSummary[]> => {
      try {
        return await store.getRuns(runIds, { payloads: false, signal });
      } catch (error) {
        const runId = error instanceof CorruptRowError ? error.key["run_id"] : undefined;
        if (runId === undefined || !runIds.includes(runId)) throw error;
        refuse(runId, error as CorruptRowError);
        return readAgain(runIds.filter((each) => each !== runId));
      }
    };

    try {
      let cursor: string | null = null;
      do {
        const page: Awaited<ReturnType<typeof store.listRuns>> = await store.listRuns({
          ...filter,
          limit: batchSize,
          cursor,
          signal,
        });
        for (const error of page.corrupt) refuse(error.key["run_id"] ?? "", error);
        let runs: readonly WorkflowRunSummary[] = page.runs;
        for (let attempts = 1; runs.length > 0; attempts++) {
          const conflicts = await attempt(runs);
          if (attempts === maxAttempts) {
            for (const error of conflicts) refuse(error.runId, error);
            break;
          }
          const again = await readAgain(conflicts.map(({ runId }) => runId));
          runs = again.filter((run) => matchesFilter(run, parseFilter(filter)));
        }
        cursor = page.nextCursor;
        // Timers and other writers run between two batches.
        await nextTurn();
      } while (cursor !== null);
    } catch (error) {
      throw changedRuns > 0 ? undecidedError(error) : error;
    }
    return { dryRun, changedRuns, refusedRuns, refused };
  }
}

/** True if the run was deleted, or has a status that the change does not accept, and so matches no more. */
function isMismatch(error: unknown): boolean {
  return error instanceof RunNotFoundError || error instanceof RunTransitionError;
}
