import type { CorruptRowError } from "../errors.ts";
import type { RunChanges } from "../model/changes.ts";
import type { RunFilter, RunQuery } from "../model/run-queries.ts";
import type { WorkflowJson } from "../schema/json-types.ts";
import type { NewRunOf, RunOf, SummaryOf } from "../schema/rows.ts";
import type { RunStatus } from "../statuses.ts";
import type {
  CreateRunOptions,
  ExpectedRevisionOptions,
  OperationOptions,
  ReadOptions,
  ReopenOptions,
  RevisionOptions,
} from "./options.ts";

export interface RunPage<Run> {
  /** Newest first. Ties are ordered by `runId`, descending (UTF-8 bytes). */
  readonly runs: Run[];
  /** Continues the list. Null at the end of the list, and only there: a page may be shorter than its limit. */
  readonly nextCursor: string | null;
  /**
   * The cursor of the page of newer runs that ends where this page begins. Null on the first page. If that page has no
   * runs any more, its cursor returns the first page.
   */
  readonly prevCursor: string | null;
  /** The rows of this page that cannot be read, by table, key and column. */
  readonly corrupt: CorruptRowError[];
}

export interface RunStore<Json extends WorkflowJson = WorkflowJson> {
  /**
   * Stores a new run and returns it.
   *
   * You may set any insertable column, including status and times. `runId` defaults to a UUID version 7, `status` to
   * PENDING, and times to the store's clock. If the workflow has a run with the same `idempotencyKey`, nothing is
   * written, and that run is returned.
   *
   * @throws {RunAlreadyExistsError} if a run with this `runId` exists.
   * @throws {InvalidArgumentError} if a field is invalid.
   * @throws {InvalidValueError} if a value cannot be stored as JSON.
   */
  createRun(run: Readonly<NewRunOf<Json>>, options?: CreateRunOptions): Promise<RunOf<Json>>;

  /**
   * Returns the run. With `payloads: false` it has no `input`, `output` and `context`.
   *
   * @throws {RunNotFoundError} if it does not exist.
   * @throws {CorruptRowError} if a column that is returned cannot be read.
   */
  getRun(
    runId: string,
    options?: ReadOptions & { readonly payloads?: true | undefined },
  ): Promise<RunOf<Json>>;
  getRun(
    runId: string,
    options: ReadOptions & { readonly payloads: false },
  ): Promise<SummaryOf<RunOf<Json>>>;
  getRun(runId: string, options?: ReadOptions): Promise<RunOf<Json> | SummaryOf<RunOf<Json>>>;

  /**
   * Returns the run as `getRun` does, or null if it does not exist.
   *
   * @throws {CorruptRowError} if a column that is returned cannot be read.
   */
  findRun(
    runId: string,
    options?: ReadOptions & { readonly payloads?: true | undefined },
  ): Promise<RunOf<Json> | null>;
  findRun(
    runId: string,
    options: ReadOptions & { readonly payloads: false },
  ): Promise<SummaryOf<RunOf<Json>> | null>;
  findRun(
    runId: string,
    options?: ReadOptions,
  ): Promise<RunOf<Json> | SummaryOf<RunOf<Json>> | null>;

  /**
   * Returns the runs of up to 1000 ids as `getRun` does, each once, in the order of the ids. Ids of missing runs are
   * left out.
   *
   * @throws {CorruptRowError} if a column that is returned cannot be read.
   */
  getRuns(
    runIds: readonly string[],
    options?: ReadOptions & { readonly payloads?: true | undefined },
  ): Promise<RunOf<Json>[]>;
  getRuns(
    runIds: readonly string[],
    options: ReadOptions & { readonly payloads: false },
  ): Promise<SummaryOf<RunOf<Json>>[]>;
  getRuns(
    runIds: readonly string[],
    options?: ReadOptions,
  ): Promise<RunOf<Json>[] | SummaryOf<RunOf<Json>>[]>;

  /**
   * Changes the given columns, increments `revision` and sets `updatedAt`. Returns the run without payloads.
   *
   * Unless `changes` has them, the first RUNNING sets `startedAt`, and a final status sets `completedAt` and clears
   * `wakeAt`. PENDING and final statuses clear the lease. Preconditions are checked in the order below.
   *
   * @throws {RunNotFoundError} if the run does not exist.
   * @throws {LeaseLostError} if the fence does not hold.
   * @throws {RevisionConflictError} if the run is not at `expectedRevision`.
   * @throws {RunTransitionError} if the run has ended.
   */
  updateRun(
    runId: string,
    changes: RunChanges,
    options?: RevisionOptions,
  ): Promise<SummaryOf<RunOf<Json>>>;

  /**
   * Makes a FAILED or CANCELLED run PENDING again. Clears error, completion, lease and `wakeAt`. If the run has a
   * `timeoutMs`, sets `deadlineAt` to that time from now. Other columns stay. Steps that have not ended become CANCELLED,
   * and so do their running attempts. All of it happens in one commit.
   *
   * With `fromStep`, a COMPLETED run is reopened too, and also loses its output. The step is PENDING as if it were new,
   * and those after it are deleted, all with their attempts and outputs, so that they run again as if for the first time.
   * `progress` decreases to the share of the steps that stay. State stays.
   *
   * @throws {RunNotFoundError} if the run does not exist.
   * @throws {RevisionConflictError} if the run is not at `expectedRevision`.
   * @throws {RunTransitionError} if it is not FAILED or CANCELLED; with `fromStep`, if it has not ended.
   * @throws {StepExecutionNotFoundError} if `fromStep` has not begun in this run.
   */
  reopenRun(runId: string, options?: ReopenOptions): Promise<SummaryOf<RunOf<Json>>>;

  /**
   * Returns a page of the runs that match all conditions, newest first.
   *
   * Rows and bytes of a page are limited. Payload columns are returned only with `payloads: true`.
   *
   * @throws {InvalidArgumentError} if the query is invalid, or the cursor belongs to another query.
   */
  listRuns(
    query: RunQuery & OperationOptions & { readonly payloads: true },
  ): Promise<RunPage<RunOf<Json>>>;
  listRuns(
    query?: RunQuery & OperationOptions & { readonly payloads?: false | undefined },
  ): Promise<RunPage<SummaryOf<RunOf<Json>>>>;
  listRuns(
    query?: RunQuery & OperationOptions & { readonly payloads?: boolean | undefined },
  ): Promise<RunPage<RunOf<Json>> | RunPage<SummaryOf<RunOf<Json>>>>;

  /** Counts the runs of each status, including zeros. */
  countRuns(filter?: RunFilter & OperationOptions): Promise<Record<RunStatus, number>>;

  /**
   * Deletes the run with its steps, attempts, outputs and state. False if it did not exist.
   *
   * @throws {RevisionConflictError} if the run is not at `expectedRevision`.
   */
  deleteRun(runId: string, options?: ExpectedRevisionOptions): Promise<boolean>;
}
