import type { CorruptRowError } from "../errors.ts";
import type { RunChanges } from "../model/changes.ts";
import type { RunFilter, RunQuery } from "../model/run-queries.ts";
import type { NewWorkflowRun, WorkflowRun, WorkflowRunSummary } from "../schema/rows.ts";
import type { RunStatus } from "../statuses.ts";
import type { OperationOptions, RevisionOptions } from "./options.ts";

export interface RunPage<Run> {
  /** Newest first, ties by `runId` descending (UTF-8 bytes). */
  readonly runs: Run[];
  /** Continues the list; null, and only null, ends it: a page may be shorter than its limit. */
  readonly nextCursor: string | null;
  /** Rows of this page that cannot be read, each named by table, key and column. */
  readonly corrupt: CorruptRowError[];
}

export interface RunStore {
  /**
   * Stores a new run and returns it.
   *
   * Any insertable column may be given, status and times too; a UUID (version 7), PENDING and the store's
   * clock fill the rest. With an `idempotencyKey` that the workflow has already used, nothing is written and
   * the existing run is returned.
   *
   * @throws {RunAlreadyExistsError} when the `runId` is taken.
   * @throws {InvalidArgumentError} {InvalidValueError} that names the field.
   */
  createRun(run: Readonly<NewWorkflowRun>, options?: OperationOptions): Promise<WorkflowRun>;

  /** @throws {RunNotFoundError} {CorruptRowError} */
  getRun(runId: string, options?: OperationOptions): Promise<WorkflowRun>;

  /**
   * Changes the named columns, bumps `revision` and sets `updatedAt`; returns the run without its payloads.
   *
   * The first RUNNING sets `startedAt`, a final status `completedAt`, unless `changes` gives them. PENDING
   * gives the lease up, a final status ends it.
   *
   * @throws {RunNotFoundError} {LeaseLostError} {RevisionConflictError} {RunTransitionError} checked in this
   *   order; a finished run changes no more.
   */
  updateRun(
    runId: string,
    changes: RunChanges,
    options?: RevisionOptions,
  ): Promise<WorkflowRunSummary>;

  /**
   * Makes a FAILED or CANCELLED run PENDING again: error, completion, lease and `wakeAt` are
   * cleared, `deadlineAt` becomes `timeoutMs` from now, if the run has one, and the rest stays.
   *
   * @throws {RunNotFoundError} {RunTransitionError}
   */
  reopenRun(runId: string, options?: OperationOptions): Promise<WorkflowRunSummary>;

  /**
   * A page of the runs that fulfil all conditions, newest first.
   *
   * Pages are bounded in rows and in bytes. The payload columns come only with `payloads: true`.
   *
   * @throws {InvalidArgumentError} for a cursor of another query, too.
   */
  listRuns(
    query: RunQuery & OperationOptions & { readonly payloads: true },
  ): Promise<RunPage<WorkflowRun>>;
  listRuns(
    query?: RunQuery & OperationOptions & { readonly payloads?: false | undefined },
  ): Promise<RunPage<WorkflowRunSummary>>;
  listRuns(
    query?: RunQuery & OperationOptions & { readonly payloads?: boolean | undefined },
  ): Promise<RunPage<WorkflowRun> | RunPage<WorkflowRunSummary>>;

  /** How many runs have each status, zeros included. */
  countRuns(filter?: RunFilter & OperationOptions): Promise<Record<RunStatus, number>>;

  /** Deletes the run with all that hangs from it; false when it did not exist. */
  deleteRun(runId: string, options?: OperationOptions): Promise<boolean>;
}
