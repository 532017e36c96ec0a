import { markChecked, parseArgument } from "../arguments.ts";
import { onAbort, Stopper, untilAborted } from "../async/abort.ts";
import { Backoff } from "../async/retry.ts";
import {
  EngineClosedError,
  InvalidArgumentError,
  RunCancelledError,
  RunNotFoundError,
  RunTransitionError,
} from "../errors.ts";
import { checkStore, functionSchema, operationOptionsSchema } from "../model/arguments.ts";
import { parseBulkOptions, type BulkOptions, type BulkReport } from "../model/bulk-changes.ts";
import type { RunFilter } from "../model/run-queries.ts";
import { isFinalRunStatus } from "../model/transitions.ts";
import { newId } from "../new-id.ts";
import type { WorkflowRun, WorkflowRunSummary } from "../schema/rows.ts";
import { systemClock } from "../store/clock.ts";
import type { OperationOptions, ReopenOptions } from "../store/options.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { checkWorkflow, type Workflow } from "./definition/workflow-builder.ts";
import { WorkflowRegistry } from "./definition/workflow-registry.ts";
import {
  closeOptionsSchema,
  engineOptionsSchema,
  eventTypeSchema,
  runOptionsSchema,
  type CloseOptions,
  type EngineOptions,
  type FinishedRun,
  type RunId,
  type RunOptions,
  type StartOptions,
} from "./engine-options.ts";
import { EventEmitter, type EngineEventType, type EngineListener } from "./observe/events.ts";
import { bindLogger, silentLogger } from "./observe/logger.ts";
import { findTelemetry, hasTelemetry, type Telemetry } from "./observe/open-telemetry.ts";
import { fieldsOf } from "./observe/run-observer.ts";
import { startRun } from "./run-start.ts";
import { watchRun, type RunProgress } from "./run-watch.ts";
import { cancelSteps } from "./run/run-cancellation.ts";
import { loadRunOutput } from "./run/run-loading.ts";
import { StartedRuns } from "./started-runs.ts";
import { isBusy, retryWhileBusy } from "./store-retry.ts";
import { firstPollMs, longestPollMs, waitForRun } from "./worker/waits.ts";
import { Worker, type WorkerOptions } from "./worker/worker.ts";

/** The interval at which a wait reads a run while all slots of this engine are taken. */
const fullPollMs = 250;
const defaultDeadlineMs = 10_000;
/** If no slot becomes free for this long, a wait for a PENDING run logs a warning. */
const stuckMs = 5000;

/**
 * Starts workflows on a store and runs them.
 *
 * Any number of engines in any number of processes can share a store. Only one executes a run at a time. If it dies,
 * another one resumes the run after the last step that ended. Close the engine before the store.
 */
export class Engine {
  readonly #scope: WorkerOptions;
  readonly #worker: Worker;
  /** Aborts when the engine begins to close. */
  readonly #closer = new Stopper();
  #telemetry: Promise<Telemetry | null> | null = null;
  #closed: Promise<void> | null = null;

  /** @throws {InvalidArgumentError} that names the argument or the option. */
  constructor(store: WorkflowStore, options: EngineOptions = {}) {
    checkStore(store, "store");
    const parsed = parseArgument(engineOptionsSchema, options, "options");
    const { workerId = `worker-${newId()}`, clock = systemClock, leaseMs = 30_000 } = parsed;
    const logger = parsed.logger === undefined ? silentLogger : bindLogger(parsed.logger);
    this.#scope = {
      store,
      workerId,
      clock,
      leaseMs,
      logger,
      maxLostLeases: parsed.maxLostLeases ?? 5,
      concurrency: parsed.concurrency ?? 10,
      registry: new WorkflowRegistry(),
      startedRuns: new StartedRuns(),
      events: new EventEmitter(workerId, clock, logger),
      openTelemetry: this.#openTelemetry,
    };
    this.#worker = new Worker(this.#scope);
  }

  /**
   * Lets this engine run the workflow. Any number of versions can be registered. The engine never claims runs of other
   * versions.
   *
   * @throws {InvalidArgumentError} if another workflow has this id and version.
   */
  register(workflow: Workflow): this {
    this.#scope.registry.register(workflow);
    return this;
  }

  /**
   * Stores a PENDING run and returns its id. An engine that works will claim it.
   *
   * @throws {InvalidArgumentError} if the input does not fit the first step. It names the field.
   * @throws {InvalidValueError} if JSON cannot hold the input.
   * @throws {UnsupportedError} if `tx` is given and the store does not share a database with an app.
   */
  async start<Input, Output>(
    workflow: Workflow<Input, Output>,
    input: Input,
    options: StartOptions = {},
  ): Promise<RunId<Output>> {
    return (await this.#start(workflow, input, options)).runId as RunId<Output>;
  }

  /**
   * Resolves with the run when it has ended. If its workflow is registered here, this engine starts to work.
   *
   * The row of a run does not hold an output above 2 MiB. It is read from the steps if the workflow is registered here.
   *
   * The output has the type of the workflow if the id comes from `start`, or the workflow is given.
   *
   * @throws {RunNotFoundError} if the run does not exist.
   * @throws {CorruptRowError} if the run cannot be read.
   * @throws {EngineClosedError} if the engine closes before the run has ended.
   * @throws {InvalidArgumentError} if the run belongs to another workflow than the given one.
   */
  async wait<Output>(
    runId: RunId<Output>,
    options?: OperationOptions,
  ): Promise<FinishedRun<Output>>;
  async wait(runId: string, options?: OperationOptions): Promise<WorkflowRun>;
  async wait<Output>(
    workflow: Workflow<never, Output>,
    runId: string,
    options?: OperationOptions,
  ): Promise<FinishedRun<Output>>;
  async wait(
    first: string | Workflow,
    second: string | OperationOptions = {},
    third: OperationOptions = {},
  ): Promise<WorkflowRun> {
    const isNamed = typeof second === "string";
    const runId = isNamed ? second : (first as string);
    const { signal } = parseArgument(operationOptionsSchema, isNamed ? third : second, "options");
    if (isNamed) checkWorkflow(first);
    return this.#wait(runId, signal, isNamed ? (first as Workflow).id : null);
  }

  /**
   * Registers the workflow, starts a run, works, and resolves with the run when it has ended. Throws the errors of `start`
   * and `wait`. After an `EngineClosedError` the run exists, and another engine can run it.
   *
   * @throws {InvalidArgumentError} if the idempotency key belongs to an unfinished run of a version that is not
   *   registered here. Use `wait` with its id to wait for another worker.
   */
  async run<Input, Output>(
    workflow: Workflow<Input, Output>,
    input: Input,
    options: RunOptions = {},
  ): Promise<FinishedRun<Output>> {
    this.register(workflow);
    const parsed = parseArgument(runOptionsSchema, options, "options");
    const { cancelOnAbort = false, ...startOptions } = parsed;
    const { signal } = startOptions;
    if (cancelOnAbort) signal?.throwIfAborted();
    // An aborted write may still take effect, so it is not aborted if the run has to be cancelled.
    const given = cancelOnAbort ? { ...startOptions, signal: undefined } : startOptions;
    // A run that another call has started is not cancelled. Its id differs from this one.
    const ownId = cancelOnAbort && given.idempotencyKey !== undefined ? newId() : undefined;
    const started = await this.#start(workflow, input, markChecked(given), ownId);
    const { runId, workflowVersion } = started;
    const isCancelled = cancelOnAbort && (ownId === undefined || ownId === runId);
    this.#checkOpen();
    if (!isFinalRunStatus(started.status) && this.#scope.registry.find(started) === null) {
      throw new InvalidArgumentError({
        argument: "options.idempotencyKey",
        reason: `belongs to run ${runId} of version ${workflowVersion}, which is not registered here`,
      });
    }
    if (started.attempt === 0) this.#startWorking();
    try {
      // The output comes from the output schema of the last step, the error from the engine.
      return (await this.#wait(runId, signal)) as FinishedRun<Output>;
    } catch (error) {
      if (isCancelled && signal?.aborted === true) await this.#cancelUnlessEnded(runId);
      throw error;
    }
  }

  /**
   * Claims and executes runs of the registered workflows until `close`, or until the signal aborts. A second call joins
   * the first. If the signal of one aborts, the active runs are released, and the others continue.
   *
   * @throws {StoreClosedError} if the store was closed.
   * @throws {EngineClosedError} if the engine was closed.
   */
  async work(options: OperationOptions = {}): Promise<void> {
    const { signal } = parseArgument(operationOptionsSchema, options, "options");
    this.#checkOpen();
    const isOver = (): boolean => signal?.aborted === true || this.#closer.aborted;
    if (isOver()) return;
    const stop = (): void => void this.#worker.stop(defaultDeadlineMs).catch(() => {});
    const unsubscribe = onAbort(signal, stop);
    try {
      // The signal of another call may end the loop.
      while (!isOver()) await this.#worker.work(signal);
    } finally {
      unsubscribe();
    }
  }

  /**
   * Makes the run CANCELLED. No further step begins, `ctx.signal` of the running steps aborts, and their results are not
   * stored. A worker in another process notices within a quarter of its lease.
   *
   * @throws {RunNotFoundError} if the run does not exist.
   * @throws {RunTransitionError} if the run has completed or failed.
   * @throws {EngineClosedError} if the engine was closed.
   */
  async cancel(runId: string): Promise<void> {
    this.#checkOpen();
    let tries = 0;
    const cancel = (): Promise<WorkflowRunSummary> => {
      tries += 1;
      const cancelled = this.#scope.store.updateRun(runId, { status: "CANCELLED" });
      return cancelled.catch((error: unknown) => {
        // A transaction of the run's own step may lock the database until the step is aborted.
        const reason = new RunCancelledError({ runId }, { cause: error });
        if (isBusy(error)) void this.#worker.stopRun(runId, reason);
        throw error;
      });
    };
    try {
      await this.#reportCancelled(await this.#persist(cancel));
    } catch (error) {
      // The process that cancelled the run may not have cancelled its steps.
      if (!(error instanceof RunTransitionError && error.from === "CANCELLED")) throw error;
      // An earlier try took effect, and its answer was lost.
      const find = () => this.#scope.store.findRun(runId, { payloads: false });
      const run = tries > 1 ? await this.#persist(find) : null;
      if (run !== null) await this.#reportCancelled(run);
    }
    await this.#stopCancelled([runId]);
  }

  /**
   * Makes the PENDING and RUNNING runs that match CANCELLED, in batches, each as `cancel` does.
   *
   * @throws {InvalidArgumentError} if the filter names another status, or an option is invalid.
   * @throws {EngineClosedError} if the engine was closed.
   */
  async cancelRuns(
    filter: RunFilter<"PENDING" | "RUNNING">,
    options: BulkOptions = {},
  ): Promise<BulkReport> {
    this.#checkOpen();
    const { onProgress, ...others } = parseBulkOptions(options);
    return this.#scope.store.cancelRuns(filter, {
      ...others,
      onProgress: async (progress) => {
        for (const run of progress.runs) await this.#reportCancelled(run);
        await this.#stopCancelled(progress.runs.map(({ runId }) => runId));
        await onProgress?.(progress);
      },
    });
  }

  /**
   * Calls `listener` for each event of that type in this engine, until the returned function is called. The engine does
   * not wait for listeners, and logs their errors.
   *
   * @throws {InvalidArgumentError} if the type does not exist.
   */
  on<Type extends EngineEventType>(type: Type, listener: EngineListener<Type>): () => void {
    parseArgument(eventTypeSchema, type, "type");
    parseArgument(functionSchema(), listener, "listener");
    return this.#scope.events.on(type, listener);
  }

  /**
   * Yields the current progress of a run in any process, then its transitions. Transitions of steps precede those of the
   * run. Of two quick transitions, only the later one may be seen. Ends when the run has ended, or at `return`. Reads a run
   * of this engine at its events, and any other at least once a second. Does not start to work. Makes the open steps of a
   * cancelled run CANCELLED.
   *
   * @throws {RunNotFoundError} if the run does not exist.
   * @throws {CorruptRowError} if a row cannot be read.
   * @throws {EngineClosedError} if the engine closes before the run has ended.
   */
  watch(runId: string, options: OperationOptions = {}): AsyncGenerator<RunProgress, void> {
    const closer = this.#closer;
    const scope = { ...this.#scope, closer, cancelSteps: () => this.#cancelSteps([runId]) };
    return watchRun(scope, runId, options);
  }

  /**
   * Makes a FAILED or CANCELLED run PENDING again. Its failed and cancelled steps restart with all their retries.
   * Completed steps do not run again. If the run has a deadline, its time limit starts again.
   *
   * With `fromStep`, that step and those after it run again as if for the first time, also of a COMPLETED run. Their
   * outputs and attempts are deleted, so the numbers of attempts repeat. The steps of a `parallel` have the order in
   * which they are listed, so name the first to restart all of them. State that the steps have stored stays.
   *
   * @throws {RunNotFoundError} if the run does not exist.
   * @throws {RunTransitionError} if the run has not ended, or has completed and `fromStep` is not given.
   * @throws {StepExecutionNotFoundError} if `fromStep` has not begun in this run.
   * @throws {RevisionConflictError} if the run is not at `expectedRevision`.
   * @throws {EngineClosedError} if the engine was closed.
   */
  async retry(runId: string, options: ReopenOptions = {}): Promise<void> {
    this.#checkOpen();
    await this.#scope.store.reopenRun(runId, options);
    this.#worker.wake();
  }

  /**
   * Executes all runs of the registered workflows that no worker holds: PENDING ones, and those with an expired lease.
   * Resolves when none can be claimed, with the number of runs that ended here: those that sleep, and those of paused
   * workflows, stay. Retries while the store is unreachable.
   *
   * @throws {EngineClosedError} if the engine closes first.
   * @throws {StoreClosedError} if the store was closed.
   */
  async recover(): Promise<number> {
    this.#checkOpen();
    this.#startWorking();
    const ended = await this.#worker.untilIdle();
    this.#checkOpen();
    return ended;
  }

  /**
   * Claims no more runs, lets running steps end, and releases unfinished runs, which other engines resume. Steps that take
   * longer than `deadlineMs` restart there. A second call waits for the first.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { deadlineMs } = parseArgument(closeOptionsSchema, options, "options");
    this.#closed ??= this.#close(deadlineMs ?? defaultDeadlineMs);
    return this.#closed;
  }

  async #cancelUnlessEnded(runId: string): Promise<void> {
    try {
      await this.cancel(runId);
    } catch (error) {
      if (!(error instanceof RunTransitionError || error instanceof RunNotFoundError)) throw error;
    }
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#closer.abort(new EngineClosedError());
    await this.#worker.close(deadlineMs).catch((error: unknown) => {
      this.#scope.logger.warn({ err: error }, "the worker had stopped with an error");
    });
  }

  async #reportCancelled(run: WorkflowRunSummary): Promise<void> {
    const status = "CANCELLED" as const;
    (await this.#openTelemetry())?.countFinished(run.workflowId, status);
    this.#scope.events.emit("run.finished", run.runId, () => ({ ...fieldsOf(run), status }));
  }

  async #stopCancelled(runIds: readonly string[]): Promise<void> {
    await Promise.all(
      runIds.map((runId) => this.#worker.stopRun(runId, new RunCancelledError({ runId }))),
    );
    await this.#cancelSteps(runIds);
  }

  /** Cancels the steps of cancelled runs. The process that cancelled them may have died before it did so. */
  async #cancelSteps(runIds: readonly string[]): Promise<void> {
    try {
      await this.#persist(() => cancelSteps(this.#scope.store, runIds, this.#scope.clock()));
    } catch (error) {
      const [runId, another] = runIds;
      if (another === undefined) {
        this.#scope.logger.warn(
          { runId, err: error },
          "steps of a cancelled run could not be marked",
        );
      } else for (const each of runIds) await this.#cancelSteps([each]);
    }
  }

  #persist<T>(work: () => Promise<T>): Promise<T> {
    return retryWhileBusy(work, this.#scope.leaseMs, this.#closer);
  }

  #checkOpen(): void {
    if (this.#closer.aborted) throw new EngineClosedError();
  }

  async #start(
    workflow: Workflow,
    input: unknown,
    options: StartOptions,
    runId?: string,
  ): Promise<WorkflowRun> {
    this.#checkOpen();
    const run = await startRun(this.#scope, workflow, input, options, runId);
    if (run.wakeAt === null || run.wakeAt <= this.#scope.clock()) this.#worker.wake();
    else this.#worker.wakeAt(run.wakeAt);
    return run;
  }

  async #wait(
    runId: string,
    signal: AbortSignal | undefined,
    workflowId: string | null = null,
  ): Promise<WorkflowRun> {
    const signals = [this.#closer, signal];
    const { wakeUp, end } = waitForRun(
      this.#scope.events,
      runId,
      ["run.finished", "run.left"],
      signals,
    );
    const backoff = new Backoff(firstPollMs, longestPollMs);
    // An unreachable store is not retried: the caller should learn of it.
    const read = <T>(work: () => Promise<T>): Promise<T> =>
      untilAborted(signal, retryWhileBusy(work, this.#scope.leaseMs, this.#closer, isBusy));
    let hasWarned = false;
    // A run that was just started here will be claimed here soon, so it is not read yet.
    let isExpected = this.#worker.isWorking && this.#scope.startedRuns.has(runId);
    try {
      for (;;) {
        // An active run ends this wait by an event. It has probably finished then, so its output is read as well.
        let payloads = false;
        while (this.#worker.isActive(runId)) {
          if (signal?.aborted === true) break;
          payloads = true;
          await wakeUp.wait(longestPollMs);
        }
        if (!isExpected) {
          const run = await read(() => this.#scope.store.getRun(runId, { payloads, signal }));
          if (workflowId !== null && run.workflowId !== workflowId) {
            const reason = `belongs to the workflow ${run.workflowId}, not to ${workflowId}`;
            throw new InvalidArgumentError({ argument: "runId", reason });
          }
          if (run.status === "CANCELLED") await untilAborted(signal, this.#cancelSteps([runId]));
          if (isFinalRunStatus(run.status)) return await read(() => this.#withOutput(run, signal));
          this.#checkOpen();
          if (this.#scope.registry.find(run) !== null) {
            this.#startWorking();
            hasWarned ||= this.#warnIfStuck(run);
          }
        }
        isExpected = false;
        await wakeUp.wait(this.#worker.isFull ? fullPollMs : backoff.next());
      }
    } finally {
      end();
    }
  }

  /** An ended run with its payloads. An output that is too large for its row comes from the steps. */
  async #withOutput(
    found: WorkflowRun | WorkflowRunSummary,
    signal: AbortSignal | undefined,
  ): Promise<WorkflowRun> {
    const { runId } = found;
    const run = "output" in found ? found : await this.#scope.store.getRun(runId, { signal });
    const plan = this.#scope.registry.find(run)?.plan;
    if (run.status !== "COMPLETED" || run.output !== null || plan === undefined) return run;
    return { ...run, output: await loadRunOutput(this.#scope.store, plan, runId) };
  }

  /** Warns of a possible deadlock: steps that wait for the run may hold all slots. Returns true if it warned. */
  #warnIfStuck({ runId, status }: Pick<WorkflowRun, "runId" | "status">): boolean {
    const fullForMs = this.#worker.fullForMs;
    if (status !== "PENDING" || fullForMs < stuckMs) return false;
    this.#scope.logger.warn(
      { runId, fullForMs: Math.round(fullForMs) },
      "a wait is blocked: its run stays PENDING, because all slots are taken and none becomes free. " +
        "If steps wait for this run, raise `concurrency` or let another engine run it",
    );
    return true;
  }

  /** Null until the app registers a provider. */
  readonly #openTelemetry = async (): Promise<Telemetry | null> => {
    if (this.#telemetry === null && !hasTelemetry()) return null;
    return (this.#telemetry ??= findTelemetry((error) => {
      this.#scope.logger.warn({ err: error }, "telemetry failed");
    }));
  };

  /** Works in the background. Errors are only logged, because waits meet errors of the store themselves. */
  #startWorking(): void {
    if (this.#worker.isWorking) return;
    this.#worker.work().catch((error: unknown) => {
      this.#scope.logger.error({ err: error }, "the worker stopped with an error");
    });
  }
}
