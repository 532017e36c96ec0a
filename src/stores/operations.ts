import {
  RunNotFoundError,
  StateNotFoundError,
  StepExecutionNotFoundError,
  StepOutputNotFoundError,
} from "../errors.ts";
import { parseId } from "../model/arguments.ts";
import { parseBundles, type RunBundle } from "../model/bundles.ts";
import {
  parseClaim,
  parseLeaseExtension,
  parseLeaseHolder,
  type LeaseExtension,
  type LeaseHolder,
  type ParsedClaim,
} from "../model/leases.ts";
import {
  parseBatchOptions,
  parseOptions,
  parsePauseOptions,
  parseReadOptions,
  parseReopenOptions,
  parseWriteBundlesOptions,
  type BatchDemands,
} from "../model/options.ts";
import { parsePrunePolicy, type ParsedPrunePolicy, type PruneReport } from "../model/retention.ts";
import {
  everyRun,
  parseBundleQuery,
  parseCountFilter,
  parseListQuery,
  parseRunIds,
  type ParsedRunFilter,
  type ParsedRunQuery,
  type RunQuery,
} from "../model/run-queries.ts";
import type {
  StepAttempt,
  StepExecution,
  StepExecutionSummary,
  StepOutput,
  WorkflowPause,
  WorkflowRun,
  WorkflowRunSummary,
  WorkflowState,
} from "../schema/rows.ts";
import { runStatuses, type RunStatus } from "../statuses.ts";
import type { BatchWriter } from "../store/batches.ts";
import type { BulkStore } from "../store/bulk-changes.ts";
import type { BundlePage, WriteBundlesReport } from "../store/bundles.ts";
import type { Clock } from "../store/clock.ts";
import type { StoreStats } from "../store/maintenance.ts";
import type { OperationOptions, ReadOptions } from "../store/options.ts";
import type { RunPage } from "../store/runs.ts";
import type { StateEntry } from "../store/state.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { createBulkChanges } from "./bulk-changes.ts";
import {
  checkWrites,
  createBatchCollector,
  parseStateKey,
  parseStepKey,
  type StateKey,
  type StepKey,
  type WriteName,
  type WritePlanner,
} from "./checked-writes.ts";
import type { StoreOperations } from "../store/operations.ts";

/** The result of a write. */
export type ResultOf<Name extends WriteName> = Awaited<ReturnType<WorkflowStore[Name]>>;

type Signal = AbortSignal | undefined;
type Awaitable<T> = T | Promise<T>;
type AnyRun = WorkflowRun | WorkflowRunSummary;

/** A run that is reopened from a step. */
export interface Restart {
  readonly runId: string;
  readonly fromStep: string;
  readonly expectedRevision: number | undefined;
  readonly now: Date;
}

/** How one kind of store reads and writes rows. All arguments are valid. */
export interface Backend<Plans extends Record<WriteName, unknown>> {
  readonly clock: Clock;
  readonly writes: WritePlanner<Plans>;

  /**
   * Runs an operation when the store is ready. A write also waits for the transactions before it.
   *
   * @throws {StoreClosedError} if the store is closed.
   * @throws {UnsupportedError} inside a transaction of the store.
   * @throws the signal's reason.
   */
  perform<T>(kind: "read" | "write", signal: Signal, operation: () => Awaitable<T>): Promise<T>;

  carryOut<Name extends WriteName>(plan: Plans[Name], signal: Signal): Awaitable<ResultOf<Name>>;
  batch(
    plans: readonly Plans[keyof BatchWriter][],
    demands: BatchDemands,
    signal: Signal,
  ): Awaitable<void>;
  transaction<T>(work: (tx: WorkflowStore) => Promise<T>, signal: Signal): Promise<T>;

  restartRun(restart: Restart, signal: Signal): Awaitable<WorkflowRunSummary>;

  findRun(runId: string, payloads: boolean): Awaitable<AnyRun | null>;
  listRuns(query: ParsedRunQuery, payloads: boolean): Awaitable<RunPage<AnyRun>>;
  countRuns(filter: ParsedRunFilter): Awaitable<ReadonlyMap<unknown, number>>;
  findStep(key: StepKey): Awaitable<StepExecution | null>;
  listSteps(runId: string): Awaitable<StepExecution[]>;
  listStepSummaries(runId: string): Awaitable<StepExecutionSummary[]>;
  listAttempts(runId: string): Awaitable<StepAttempt[]>;
  findOutput(key: StepKey): Awaitable<StepOutput | null>;
  findState(key: StateKey): Awaitable<WorkflowState | null>;
  /** Returns the state by key. */
  listState(runId: string): Awaitable<WorkflowState[]>;

  claimRuns(claim: ParsedClaim): Awaitable<WorkflowRunSummary[]>;
  extendLease(lease: LeaseExtension): Awaitable<Date>;
  releaseLease(lease: LeaseHolder): Awaitable<void>;

  /** Returns the pauses by workflow. */
  listPauses(): Awaitable<WorkflowPause[]>;

  readBundles(query: ParsedRunQuery): Awaitable<BundlePage>;
  /** Encodes the bundles, and returns the function that writes them. */
  writeBundles(
    bundles: readonly RunBundle[],
    options: ReturnType<typeof parseWriteBundlesOptions>,
  ): () => Awaitable<WriteBundlesReport>;

  /** Calls `perform` itself, once or several times. */
  pruneRuns(policy: ParsedPrunePolicy): Promise<PruneReport>;
  stats(): Awaitable<Omit<StoreStats, "runs"> & { readonly counts: ReadonlyMap<unknown, number> }>;
}

/** The operations of the contract. They check arguments, and use the backend for rows. */
export function createOperations<Plans extends Record<WriteName, unknown>>(
  backend: Backend<Plans>,
): StoreOperations {
  const { clock, writes: planner } = backend;
  const writes = checkWrites(planner, clock);
  const collectWrites = createBatchCollector<Plans[keyof BatchWriter]>(writes);
  const read = <T>(signal: Signal, operation: () => Awaitable<T>) =>
    backend.perform("read", signal, operation);
  const write = <Name extends WriteName>(plan: Plans[Name], signal: Signal) =>
    backend.perform("write", signal, () => backend.carryOut<Name>(plan, signal));

  async function findRun(id: string, options?: ReadOptions) {
    const runId = parseId(id, "runId");
    const { signal, payloads = true } = parseReadOptions(options);
    return read(signal, () => backend.findRun(runId, payloads));
  }

  async function getRuns(ids: readonly string[], options?: ReadOptions): Promise<AnyRun[]> {
    const runIds = parseRunIds(ids);
    const { signal, payloads = true } = parseReadOptions(options);
    return read(signal, async () => {
      const found = new Map<string, AnyRun>();
      // A page is limited in bytes, so all runs may not fit into one.
      for (let missing = runIds; missing.length > 0;) {
        const page = await backend.listRuns({ ...everyRun, runIds: missing }, payloads);
        for (const error of page.corrupt) throw error;
        for (const run of page.runs) found.set(run.runId, run);
        if (page.nextCursor === null) break;
        missing = missing.filter((runId) => !found.has(runId));
      }
      return runIds.flatMap((runId) => found.get(runId) ?? []);
    });
  }

  async function findStepExecution(run: string, step: string, options?: OperationOptions) {
    const key = parseStepKey(run, step);
    return read(parseOptions(options).signal, () => backend.findStep(key));
  }

  async function findStepOutput(run: string, step: string, options?: OperationOptions) {
    const key = parseStepKey(run, step);
    return read(parseOptions(options).signal, () => backend.findOutput(key));
  }

  async function findState(run: string, name: string, options?: OperationOptions) {
    const key = parseStateKey(run, name);
    const entry = await read(parseOptions(options).signal, () => backend.findState(key));
    if (entry === null) return null;
    const { value, revision, updatedAt } = entry;
    return { value, revision, updatedAt };
  }

  async function loadStateEntry(
    runId: string,
    key: string,
    options?: OperationOptions,
  ): Promise<StateEntry> {
    const entry = await findState(runId, key, options);
    if (entry === null) throw new StateNotFoundError({ runId, key });
    return entry;
  }

  const operations: Omit<StoreOperations, keyof BulkStore> = {
    async createRun(run, options) {
      return write<"createRun">(writes.createRun(run, options), options?.signal);
    },
    getRun: (async (runId: string, options?: ReadOptions) => {
      const run = await findRun(runId, options);
      if (run === null) throw new RunNotFoundError({ runId });
      return run;
    }) as WorkflowStore["getRun"],
    findRun: findRun as WorkflowStore["findRun"],
    getRuns: getRuns as WorkflowStore["getRuns"],
    async updateRun(runId, changes, options) {
      const plan = writes.updateRun(runId, changes, options);
      return write<"updateRun">(plan, options?.signal);
    },
    async reopenRun(id, options) {
      const runId = parseId(id, "runId");
      const { signal, expectedRevision, fromStep } = parseReopenOptions(options);
      if (fromStep === undefined) {
        return write<"reopenRun">(planner.reopenRun(runId, clock(), expectedRevision), signal);
      }
      const restart = { runId, fromStep, expectedRevision, now: clock() };
      return backend.perform("write", signal, () => backend.restartRun(restart, signal));
    },
    listRuns: (async (query?: RunQuery) => {
      const { payloads, signal, ...parsed } = parseListQuery(query === undefined ? {} : query);
      return read(signal, async () => {
        const page = await backend.listRuns(parsed, payloads);
        const isEmpty = page.runs.length + page.corrupt.length === 0;
        if (!parsed.isBackward || !isEmpty) return page;
        return backend.listRuns({ ...parsed, after: null, isBackward: false }, payloads);
      });
    }) as WorkflowStore["listRuns"],
    async countRuns(filter = {}) {
      const { signal, ...parsed } = parseCountFilter(filter);
      return countsByStatus(await read(signal, () => backend.countRuns(parsed)));
    },
    async deleteRun(runId, options) {
      return write<"deleteRun">(writes.deleteRun(runId, options), options?.signal);
    },

    async createStepExecution(step, options) {
      const { signal } = parseOptions(options);
      return write<"createStepExecution">(writes.createStepExecution(step), signal);
    },
    async getStepExecution(runId, stepId, options) {
      const step = await findStepExecution(runId, stepId, options);
      if (step === null) throw new StepExecutionNotFoundError({ runId, stepId });
      return step;
    },
    findStepExecution,
    async updateStepExecution(runId, stepId, changes, options) {
      const plan = writes.updateStepExecution(runId, stepId, changes, options);
      return write<"updateStepExecution">(plan, options?.signal);
    },
    listStepExecutions: (async (run: string, options?: ReadOptions) => {
      const runId = parseId(run, "runId");
      const { signal, payloads = true } = parseReadOptions(options);
      return read<StepExecution[] | StepExecutionSummary[]>(signal, () =>
        payloads ? backend.listSteps(runId) : backend.listStepSummaries(runId),
      );
    }) as WorkflowStore["listStepExecutions"],

    async saveStepAttempt(attempt, options) {
      return write<"saveStepAttempt">(writes.saveStepAttempt(attempt, options), options?.signal);
    },
    async listStepAttempts(run, options) {
      const runId = parseId(run, "runId");
      return read(parseOptions(options).signal, () => backend.listAttempts(runId));
    },

    async saveStepOutput(runId, stepId, output, options) {
      const plan = writes.saveStepOutput(runId, stepId, output, options);
      return write<"saveStepOutput">(plan, options?.signal);
    },
    async loadStepOutput(runId, stepId, options) {
      const found = await findStepOutput(runId, stepId, options);
      if (found === null) throw new StepOutputNotFoundError({ runId, stepId });
      return found.output;
    },
    findStepOutput,

    async saveState(runId, key, value, options) {
      return write<"saveState">(writes.saveState(runId, key, value, options), options?.signal);
    },
    async loadState(runId, key, options) {
      return (await loadStateEntry(runId, key, options)).value;
    },
    loadStateEntry,
    findState,
    async deleteState(runId, key, options) {
      return write<"deleteState">(writes.deleteState(runId, key, options), options?.signal);
    },
    async getAllState(run, options) {
      const runId = parseId(run, "runId");
      const rows = await read(parseOptions(options).signal, () => backend.listState(runId));
      return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
    },

    async claimRuns(request) {
      const claim = parseClaim(request);
      return backend.perform("write", claim.signal, () => backend.claimRuns(claim));
    },
    async extendLease(extension) {
      const lease = parseLeaseExtension(extension);
      return backend.perform("write", lease.signal, () => backend.extendLease(lease));
    },
    async releaseLease(holder) {
      const lease = parseLeaseHolder(holder);
      return backend.perform("write", lease.signal, () => backend.releaseLease(lease));
    },

    async pauseWorkflow(id, options) {
      const workflowId = parseId(id, "workflowId");
      const { pausedAt = clock(), reason = null, signal } = parsePauseOptions(options);
      const plan = planner.pauseWorkflow({ workflowId, pausedAt, reason });
      return write<"pauseWorkflow">(plan, signal);
    },
    async resumeWorkflow(id, options) {
      const workflowId = parseId(id, "workflowId");
      const { signal } = parseOptions(options);
      return write<"resumeWorkflow">(planner.resumeWorkflow(workflowId), signal);
    },
    async listPausedWorkflows(options) {
      return read(parseOptions(options).signal, () => backend.listPauses());
    },

    async batch(collect, options) {
      const { signal, ...demands } = parseBatchOptions(options);
      const plans = collectWrites(collect);
      return backend.perform("write", signal, () => backend.batch(plans, demands, signal));
    },
    async transaction(work, options) {
      return backend.transaction(work, parseOptions(options).signal);
    },

    async readBundles(query = {}) {
      const { signal, ...parsed } = parseBundleQuery(query);
      return read(signal, () => backend.readBundles(parsed));
    },
    async writeBundles(bundles, options) {
      const parsed = parseWriteBundlesOptions(options);
      const writeAll = backend.writeBundles(parseBundles(bundles), parsed);
      return backend.perform("write", parsed.signal, writeAll);
    },

    async pruneRuns(policy) {
      return backend.pruneRuns(parsePrunePolicy(policy));
    },
    async stats(options) {
      const { counts, ...stats } = await read(parseOptions(options).signal, () => backend.stats());
      return { ...stats, runs: countsByStatus(counts) };
    },
  };
  return { ...operations, ...createBulkChanges(operations) };
}

function countsByStatus(counts: ReadonlyMap<unknown, number>): Record<RunStatus, number> {
  const all = runStatuses.map((status) => [status, counts.get(status) ?? 0] as const);
  return Object.fromEntries(all) as Record<RunStatus, number>;
}
