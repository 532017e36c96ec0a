import { v7 as uuidv7 } from "uuid";
import {
  EngineClosedError,
  InvalidArgumentError,
  RunCancelledError,
  RunTransitionError,
} from "../errors.ts";
import { parseArgument } from "../arguments.ts";
import { operationOptionsSchema } from "../model/arguments.ts";
import { isFinalRunStatus } from "../model/transitions.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import { systemClock, type Clock } from "../store/clock.ts";
import type { OperationOptions } from "../store/options.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import {
  closeOptionsSchema,
  eventTypeSchema,
  listenerSchema,
  engineOptionsSchema,
  type CloseOptions,
  type EngineOptions,
  type FinishedRun,
  type StartOptions,
} from "./engine-options.ts";
import type { EngineEventType, EngineListener } from "./observe/engine-events.ts";
import { EventEmitter } from "./observe/event-emitter.ts";
import { findTelemetry, hasTelemetry } from "./observe/find-telemetry.ts";
import { KnownInputs } from "./run/known-inputs.ts";
import { bindLogger, silentLogger, type BoundLogger } from "./observe/logger.ts";
import { Stopper } from "../async/abort.ts";
import { Backoff } from "../async/retry.ts";
import { retryWhileBusy } from "./pauses.ts";
import { cancelSteps } from "./run/run-cancellation.ts";
import { startRun, type RunStarter } from "./run-start.ts";
import { RunWaits } from "./worker/run-waits.ts";
import { StartFlows } from "./start-flows.ts";
import { watchRun, type RunProgress } from "./run-watch.ts";
import { noTelemetry, type Telemetry } from "./observe/telemetry.ts";
import { Worker } from "./worker/worker.ts";
import type { Workflow } from "./definition/workflow-builder.ts";
import { WorkflowRegistry } from "./definition/workflow-registry.ts";

const firstLookMs = 20;
const longestLookMs = 1000;
const fullHouseLookMs = 250;
const defaultDeadlineMs = 10_000;
/** For how long all places are taken before a wait for a PENDING run is reported. */
const stuckMs = 5000;

/**
 * Starts workflows on a store, and runs them.
 *
 * Any number of engines, in any number of processes, may share a store. Each run is worked on by one of them at
 * a time; when that one dies, another goes on after the last step that has ended. Close the engine before the
 * store.
 */
export class Engine {
  readonly #store: WorkflowStore;
  readonly #logger: BoundLogger;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #events: EventEmitter;
  #telemetry: Promise<Telemetry> | null = null;
  readonly #registry = new WorkflowRegistry();
  readonly #starter: RunStarter;
  readonly #worker: Worker;
  readonly #closing = new AbortController();
  /** The same, for any number of listeners. */
  readonly #closer = new Stopper();
  #closed: Promise<void> | null = null;
  readonly #waits = new RunWaits();

  /** @throws {InvalidArgumentError} that names the option. */
  constructor(store: WorkflowStore, options: EngineOptions = {}) {
    const parsed = parseArgument(engineOptionsSchema, options, "options");
    this.#store = store;
    this.#logger = parsed.logger === undefined ? silentLogger : bindLogger(parsed.logger);
    this.#clock = parsed.clock ?? systemClock;
    this.#leaseMs = parsed.leaseMs ?? 30_000;
    const openTelemetry = () => this.#openTelemetry();
    const knownInputs = new KnownInputs();
    const flows = new StartFlows();
    this.#starter = { store, clock: this.#clock, knownInputs, flows, telemetry: openTelemetry };
    const workerId = parsed.workerId ?? `worker-${uuidv7()}`;
    this.#events = new EventEmitter({ workerId, clock: this.#clock, logger: this.#logger });
    this.#worker = new Worker({
      store,
      registry: this.#registry,
      knownInputs,
      flows,
      workerId,
      leaseMs: this.#leaseMs,
      maxLostLeases: parsed.maxLostLeases ?? 5,
      concurrency: parsed.concurrency ?? 10,
      logger: this.#logger,
      events: this.#events,
      openTelemetry,
      clock: this.#clock,
      onEnded: (runId) => this.#waits.wake(runId),
    });
  }

  /**
   * Lets this engine run the workflow. Any number of versions of a workflow may be registered; runs of others are
   * left alone.
   *
   * @throws {InvalidArgumentError} when another workflow has this id and version.
   */
  register(workflow: Workflow): this {
    this.#registry.register(workflow);
    return this;
  }

  /**
   * Stores a new PENDING run and returns its id. Nothing runs before some engine works.
   *
   * @throws {InvalidArgumentError} that names the field, when the input does not fit the first step.
   * @throws {InvalidValueError} when JSON cannot carry the input. {UnsupportedError} for `tx`.
   */
  async start<Input>(
    workflow: Workflow<Input>,
    input: Input,
    options: StartOptions = {},
  ): Promise<string> {
    const { runId } = await this.#start(workflow, input, options);
    return runId;
  }

  /**
   * Resolves with the run when it has ended. Begins to work when the run's workflow is registered here.
   *
   * @throws {RunNotFoundError} {CorruptRowError} {EngineClosedError}
   */
  async wait(runId: string, options: OperationOptions = {}): Promise<WorkflowRun> {
    const { signal } = parseArgument(operationOptionsSchema, options, "options");
    return this.#wait(runId, signal, new Backoff(firstLookMs, longestLookMs));
  }

  /**
   * Registers the workflow, starts a run, works, and resolves with the run when it has ended.
   *
   * @throws what `start` and `wait` throw; the run is there, and others may run it, after an EngineClosedError.
   * @throws {InvalidArgumentError} if the idempotency key belongs to a run that has not ended, of a version that is not
   *   registered here: `wait` for its id waits for the worker that knows it.
   */
  async run<Input, Output>(
    workflow: Workflow<Input, Output>,
    input: Input,
    options: StartOptions = {},
  ): Promise<FinishedRun<Output>> {
    this.register(workflow);
    const started = await this.#start(workflow, input, options);
    const { runId, attempt } = started;
    this.#checkOpen();
    if (!isFinalRunStatus(started.status) && this.#registry.find(started) === null) {
      throw new InvalidArgumentError({
        argument: "options.idempotencyKey",
        reason: `belongs to run ${runId} of version ${started.workflowVersion}, which is not registered here`,
      });
    }
    const backoff = new Backoff(firstLookMs, longestLookMs);
    if (attempt === 0) {
      // It has only just been stored: there is nothing to look at before something has happened.
      this.#workOn();
      const wait = this.#waits.begin(runId, options.signal);
      await wait.news.wait(backoff.next());
      wait.end();
    }
    const run = await this.#wait(runId, options.signal, backoff);
    // The output schema of the last step made the output; the engine wrote the error.
    return run as FinishedRun<Output>;
  }

  /**
   * Claims and runs whatever is to be run of the registered workflows, until `close` or the signal's abort.
   *
   * There is one such loop in an engine; a second call joins it.
   *
   * @throws {StoreClosedError} {EngineClosedError}
   */
  async work(options: OperationOptions = {}): Promise<void> {
    const { signal } = parseArgument(operationOptionsSchema, options, "options");
    this.#checkOpen();
    if (signal?.aborted === true) return;
    const stop = (): void => void this.#worker.stop(defaultDeadlineMs).catch(() => {});
    signal?.addEventListener("abort", stop, { once: true });
    try {
      await this.#worker.work();
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  /**
   * Makes the run CANCELLED: no further step begins, what is under way is told through `ctx.signal`, and nothing
   * of it is stored any more. On another worker that may take a quarter of a lease.
   *
   * @throws {RunNotFoundError} {RunTransitionError} when it has ended otherwise.
   */
  async cancel(runId: string): Promise<void> {
    this.#checkOpen();
    try {
      const run = await this.#persist(() => this.#store.updateRun(runId, { status: "CANCELLED" }));
      const { workflowId, workflowVersion, attempt } = run;
      const telemetry = await this.#openTelemetry();
      telemetry.countFinished(workflowId, "CANCELLED");
      const cancelled = { runId, workflowId, workflowVersion, runAttempt: attempt };
      this.#events.emit("run.finished", { ...cancelled, status: "CANCELLED" });
    } catch (error) {
      // Who did it may not have come to its steps.
      if (!(error instanceof RunTransitionError && error.from === "CANCELLED")) throw error;
    }
    await this.#worker.stopRun(runId, new RunCancelledError({ runId }));
    await this.#cancelSteps(runId);
    this.#waits.wake(runId);
  }

  /**
   * Calls `listener` for each event of this engine of that type, from now on until the function that is returned
   * is called. Nothing waits for a listener; what it throws, or rejects with, is reported to the logger.
   *
   * @throws {InvalidArgumentError} for a type that there is not.
   */
  on<Type extends EngineEventType>(type: Type, listener: EngineListener<Type>): () => void {
    parseArgument(eventTypeSchema, type, "type");
    parseArgument(listenerSchema, listener, "listener");
    return this.#events.on(type, listener);
  }

  /**
   * What becomes of the run, whichever process it runs in: first how far it is, and then each transition that is
   * seen, its steps' before its own; of two that follow close upon each other only the later one may be. Ends when
   * the run has ended, or at `return`, and leaves nothing behind. A run of this engine is looked at when something has happened, any other every second at
   * last. Watching does not begin any work.
   *
   * @throws {RunNotFoundError} {CorruptRowError} {EngineClosedError} and, when the signal aborts, its reason.
   */
  watch(runId: string, options: OperationOptions = {}): AsyncGenerator<RunProgress, void> {
    return watchRun({
      store: this.#store,
      events: this.#events,
      closing: this.#closing.signal,
      runId,
      options,
    });
  }

  /**
   * Makes a FAILED or CANCELLED run PENDING again. It goes on with the steps that failed or were cancelled, which
   * begin anew with all their retries; what has completed is not run again. A run with a deadline has a new one, as
   * far from now as the first one was from its start.
   *
   * @throws {RunNotFoundError} {RunTransitionError} when it has not ended, or has completed.
   */
  async retry(runId: string): Promise<void> {
    this.#checkOpen();
    await this.#store.reopenRun(runId);
    this.#worker.wake();
    this.#waits.wake(runId);
  }

  /**
   * Takes up every run of the registered workflows that nobody holds (PENDING, or left by a worker whose lease ran
   * out) and resolves when none is left, with how many ended here.
   *
   * A store that is away is asked again until it answers.
   *
   * @throws {EngineClosedError} when it closes before. {StoreClosedError}
   */
  async recover(): Promise<number> {
    this.#checkOpen();
    this.#workOn();
    const ended = await this.#worker.untilIdle();
    this.#checkOpen();
    return ended;
  }

  /**
   * Claims no more, lets the steps under way end, and gives back the runs that have not: another engine goes on
   * with them. Steps that take longer than `deadlineMs` are begun again there. A second call waits for the first.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { deadlineMs } = parseArgument(closeOptionsSchema, options, "options");
    this.#closed ??= this.#close(deadlineMs ?? defaultDeadlineMs);
    return this.#closed;
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#closing.abort(new EngineClosedError());
    this.#closer.abort(new EngineClosedError());
    try {
      await this.#worker.close(deadlineMs);
    } catch (error) {
      this.#logger.warn({ err: error }, "the work had ended with an error");
    }
    this.#waits.wakeAll();
  }

  /** No step of a cancelled run is left open: who cancelled it may have been ended in between. */
  async #cancelSteps(runId: string): Promise<void> {
    try {
      await this.#persist(() => cancelSteps(this.#store, runId, this.#clock()));
    } catch (error) {
      this.#logger.warn({ runId, err: error }, "steps of a cancelled run could not be marked");
    }
  }

  #persist<T>(work: () => Promise<T>): Promise<T> {
    return retryWhileBusy(work, { patienceMs: this.#leaseMs, signal: this.#closer });
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new EngineClosedError();
  }

  async #start(workflow: Workflow, input: unknown, options: StartOptions): Promise<WorkflowRun> {
    this.#checkOpen();
    const { run, startsAt } = await startRun(this.#starter, workflow, input, options);
    if (startsAt === null) this.#worker.wake();
    else this.#worker.wakeAt(startsAt);
    return run;
  }

  async #wait(
    runId: string,
    signal: AbortSignal | undefined,
    backoff: Backoff,
  ): Promise<WorkflowRun> {
    let hasWarned = false;
    // Just started here, and about to be claimed here: nothing is to be seen yet.
    let isExpected = this.#worker.isWorking && this.#starter.knownInputs.has(runId);
    for (;;) {
      const wait = this.#waits.begin(runId, signal);
      try {
        // What runs here will ring when it has ended: until then the store has nothing to add.
        while (this.#worker.isActive(runId)) if (await wait.news.wait(longestLookMs)) break;
        if (!isExpected) {
          const run = await this.#store.getRun(runId, { signal });
          if (run.status === "CANCELLED") await this.#cancelSteps(runId);
          if (isFinalRunStatus(run.status)) return run;
          this.#checkOpen();
          if (this.#registry.find(run) !== null) {
            this.#workOn();
            hasWarned ||= this.#warnIfStuck(run);
          }
        }
        isExpected = false;
        // While there is no room here the run waits for a place, most likely.
        await wait.news.wait(this.#worker.isFull ? fullHouseLookMs : backoff.next());
      } finally {
        wait.end();
      }
    }
  }

  /** A step that waits for a run holds its own place meanwhile. */
  #warnIfStuck({ runId, status }: WorkflowRun): boolean {
    const fullForMs = this.#worker.fullForMs;
    if (status !== "PENDING" || fullForMs < stuckMs) return false;
    this.#logger.warn(
      { runId, fullForMs: Math.round(fullForMs) },
      "a run that is waited for here is PENDING while all places are taken and none becomes free: " +
        "do its own steps wait for it? Raise `concurrency`, or let another engine run it",
    );
    return true;
  }

  /** Looked for until the app has registered a provider. */
  async #openTelemetry(): Promise<Telemetry> {
    if (this.#telemetry === null && !hasTelemetry()) return noTelemetry;
    return (this.#telemetry ??= findTelemetry((error) => {
      this.#logger.warn({ err: error }, "telemetry has failed");
    }));
  }

  /** Works because somebody waits. What ends the work will meet them at the store, too. */
  #workOn(): void {
    if (this.#worker.isWorking) return;
    this.#worker.work().catch((error: unknown) => {
      this.#logger.error({ err: error }, "the work has ended with an error");
    });
  }
}
