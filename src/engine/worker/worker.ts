import { markChecked } from "../../arguments.ts";
import { outerFlow } from "../../async/flow.ts";
import { dueTurn } from "../../async/pause.ts";
import { Backoff } from "../../async/retry.ts";
import {
  EngineClosedError,
  LeaseLostError,
  RunAbandonedError,
  RunNotFoundError,
  StoreClosedError,
} from "../../errors.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { WorkflowRegistry } from "../definition/workflow-registry.ts";
import type { EventEmitter } from "../observe/events.ts";
import { RunObserver } from "../observe/run-observer.ts";
import type { Telemetry } from "../observe/open-telemetry.ts";
import { RunExecution } from "../run/run-execution.ts";
import type { ClaimedRun, WorkerScope } from "../run/run-scope.ts";
import type { StartedRuns } from "../started-runs.ts";
import { WakeUp } from "./waits.ts";
import { WakeTimer } from "./wake-timer.ts";

export interface WorkerOptions extends WorkerScope {
  readonly registry: WorkflowRegistry;
  readonly startedRuns: StartedRuns;
  readonly maxLostLeases: number;
  readonly concurrency: number;
  readonly events: EventEmitter;
  readonly openTelemetry: () => Promise<Telemetry | null>;
}

/** A run that is active in this process. */
interface ActiveRun {
  readonly claimed: ClaimedRun;
  readonly execution: RunExecution;
  /** Resolves when the run is no longer active. */
  ended: Promise<void>;
  /** True while its lease is extended. */
  isExtending: boolean;
}

/** Settles a wait for a claim that begins after it and finds all claimable runs. */
interface IdleWait {
  readonly resolve: (isIdle: boolean) => void;
  readonly reject: (reason: unknown) => void;
}

const firstPollMs = 50;
const longestPollMs = 1000;

/**
 * Claims runs, executes them and extends their leases until it is stopped. A start in this process wakes the worker. It
 * polls for other runs, less often while it finds none.
 */
export class Worker {
  readonly #options: WorkerOptions;
  #telemetry: Telemetry | null = null;
  readonly #active = new Map<string, ActiveRun>();
  readonly #wakeUp = new WakeUp();
  readonly #wakeTimer: WakeTimer;
  #loop: Promise<void> | null = null;
  #isStopping = false;
  /** True after the deadline of `stop`. */
  #isLate = false;
  #isClosed = false;
  /** When the last free slot was taken, on the clock of `performance`; null while a slot is free. */
  #fullSince: number | null = null;
  #endedCount = 0;
  /** True if the last claim returned as many runs as it asked for. */
  #mayFindMore = false;
  readonly #idleWaits = new Set<IdleWait>();

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#wakeTimer = new WakeTimer(options.clock, () => this.#wakeUp.notify());
  }

  /**
   * Works until `stop`. There is one loop: a second call joins it, and a call while it stops begins the next one, unless
   * the signal aborts before that.
   *
   * @throws {StoreClosedError} if the store was closed.
   */
  async work(signal?: AbortSignal): Promise<void> {
    while (this.#loop !== null && this.#isStopping && !this.#isClosed) {
      await this.#loop.catch(() => {});
    }
    if (signal?.aborted === true || (this.#loop === null && this.#isClosed)) return;
    // The loop must not keep the asynchronous context of the request that starts it.
    this.#loop ??= outerFlow(() => this.#work()).finally(() => {
      this.#loop = null;
      this.#isStopping = false;
      this.#isLate = false;
    });
    await this.#loop;
  }

  get isWorking(): boolean {
    return this.#loop !== null && !this.#isStopping;
  }

  isActive(runId: string): boolean {
    return this.#active.has(runId);
  }

  get isFull(): boolean {
    return this.#active.size >= this.#options.concurrency;
  }

  /** How long no slot has become free, in milliseconds; 0 while one is free. */
  get fullForMs(): number {
    return this.#fullSince === null ? 0 : performance.now() - this.#fullSince;
  }

  wake(): void {
    this.#wakeUp.notify();
  }

  /** Claims runs at that time if the worker still works then. */
  wakeAt(time: Date): void {
    if (this.isWorking) this.#wakeTimer.add(time);
  }

  /** Stops the run if it is active here. Resolves when it no longer is. */
  async stopRun(runId: string, reason: Error): Promise<void> {
    const active = this.#active.get(runId);
    active?.execution.stop(reason);
    await active?.ended;
  }

  /**
   * Claims no more runs, lets running steps end, and releases the runs. After `deadlineMs` the signals of the remaining
   * steps abort, and their runs are released too.
   */
  async stop(deadlineMs: number): Promise<void> {
    if (this.#loop === null) return;
    this.#isStopping = true;
    this.#wakeUp.notify();
    for (const { execution } of this.#active.values()) execution.drain();
    const late = setTimeout(() => {
      this.#isLate = true;
      for (const { execution } of this.#active.values()) execution.stop(new EngineClosedError());
    }, deadlineMs);
    try {
      await this.#loop;
    } finally {
      clearTimeout(late);
    }
  }

  /** Like `stop`, but the worker cannot be started again. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosed = true;
    await this.stop(deadlineMs);
  }

  /**
   * Resolves when no run is claimable or active, or the worker is closed. Returns the number of runs that ended here
   * meanwhile.
   *
   * @throws {StoreClosedError} if the store was closed.
   */
  async untilIdle(): Promise<number> {
    const endedBefore = this.#endedCount;
    let isIdle = false;
    while (!isIdle && !this.#isClosed) {
      // The wait below rejects with an error that ends the loop.
      if (!this.isWorking) this.work().catch(() => {});
      if (this.#isStopping) {
        await this.#loop?.catch(() => {});
        continue;
      }
      await this.#allEnded();
      if (!this.isWorking) continue;
      const claim = new Promise<boolean>((resolve, reject) => {
        this.#idleWaits.add({ resolve, reject });
      });
      this.#wakeUp.notify();
      isIdle = (await claim) && this.#active.size === 0;
    }
    return this.#endedCount - endedBefore;
  }

  async #work(): Promise<void> {
    const { concurrency, leaseMs } = this.#options;
    const backoff = new Backoff(firstPollMs, longestPollMs);
    const heartbeat = setInterval(() => {
      for (const active of this.#active.values()) void this.#extendLease(active);
    }, leaseMs / 4);
    try {
      while (!this.#isStopping) {
        this.#telemetry = await this.#options.openTelemetry();
        const begun = await this.#claim(concurrency - this.#active.size);
        if (begun > 0) backoff.reset();
        if (this.#isStopping || (begun > 0 && this.#mayFindMore && !this.isFull)) continue;
        if (await this.#wakeUp.wait(this.isFull ? null : backoff.next())) backoff.reset();
        await dueTurn();
      }
    } catch (error) {
      // The store is closed, so nothing can be stored.
      this.#isStopping = true;
      for (const { execution } of this.#active.values()) execution.stop(error);
      for (const { reject } of this.#idleWaits) reject(error);
      throw error;
    } finally {
      await this.#allEnded();
      clearInterval(heartbeat);
      this.#wakeTimer.clear();
      for (const { resolve } of this.#idleWaits) resolve(false);
      this.#idleWaits.clear();
    }
  }

  async #allEnded(): Promise<void> {
    await Promise.all(Array.from(this.#active.values(), ({ ended }) => ended));
  }

  async #claim(room: number): Promise<number> {
    if (room <= 0) return 0;
    // Waits that begin during this claim wait for the next one.
    const waits = [...this.#idleWaits];
    const { store, registry, workerId, leaseMs, logger } = this.#options;
    let runs: WorkflowRunSummary[];
    try {
      const { versions: workflows } = registry;
      // The leases of active runs may have expired while this process was paused.
      const activeRunIds = [...this.#active.keys()];
      const claim = { workerId, leaseMs, limit: room, workflows, activeRunIds };
      runs = await store.claimRuns(markChecked(claim));
    } catch (error) {
      if (error instanceof StoreClosedError) throw error;
      logger.error({ err: error }, "runs could not be claimed");
      return 0;
    }
    this.#mayFindMore = runs.length === room;
    for (const run of runs) this.#begin(run);
    for (const wait of this.#mayFindMore ? [] : waits) {
      this.#idleWaits.delete(wait);
      wait.resolve(true);
    }
    return runs.length;
  }

  #begin(run: WorkflowRunSummary): void {
    const { runId, lostLeases } = run;
    const { workerId, registry, startedRuns, logger, events } = this.#options;
    const workflow = registry.find(run);
    if (workflow === null) return;
    const before = this.#active.get(runId);
    // Another process released or reopened the run, and this one has not noticed yet.
    before?.execution.stop(new LeaseLostError({ runId, workerId }));
    const observer = new RunObserver({ run, logger, events, telemetry: this.#telemetry });
    const { flow, knownInput } = startedRuns.take(run);
    const fence = { workerId, attempt: run.attempt };
    const claimed = { ...this.#options, workflow, run, fence, knownInput, observer };
    const execution = new RunExecution(claimed);
    const active = { claimed, execution, ended: Promise.resolve(), isExtending: false };
    if (lostLeases >= (workflow.maxLostLeases ?? this.#options.maxLostLeases)) {
      execution.stop(new RunAbandonedError({ runId, lostLeases }));
    }
    // The worker may have been stopped during the claim.
    if (this.#isStopping) execution.drain();
    if (this.#isLate) execution.stop(new EngineClosedError());
    this.#active.set(runId, active);
    if (this.isFull) this.#fullSince ??= performance.now();
    active.ended = flow(() => this.#execute(active, before?.ended));
  }

  async #execute(active: ActiveRun, before: Promise<void> | undefined): Promise<void> {
    const { claimed, execution } = active;
    const { observer, run } = claimed;
    if (before !== undefined) await before;
    observer.started();
    const ending = await execution.run();
    const wasFull = this.isFull;
    if (this.#active.get(run.runId) === active) this.#active.delete(run.runId);
    // A listener that waits for the run must not see it as active.
    observer.ended(ending);
    this.#fullSince = null;
    if (["completed", "failed", "cancelled"].includes(ending)) this.#endedCount += 1;
    if (execution.wakesAt !== null) this.#wakeTimer.add(execution.wakesAt);
    if (wasFull || this.#mayFindMore) this.#wakeUp.notify();
  }

  /** Stops the run if it is no longer held. */
  async #extendLease(active: ActiveRun): Promise<void> {
    if (active.isExtending) return;
    const { claimed, execution } = active;
    const { store, leaseMs, logger, run, fence } = claimed;
    const { runId } = run;
    active.isExtending = true;
    try {
      await store.extendLease({ runId, ...fence, leaseMs });
    } catch (error) {
      if (error instanceof LeaseLostError || error instanceof RunNotFoundError) {
        execution.lose(error);
      } else if (error instanceof StoreClosedError) execution.stop(error);
      // The run may continue, because the claim is valid until another worker claims the run.
      else logger.warn({ runId, err: error }, "lease could not be extended");
    } finally {
      active.isExtending = false;
    }
  }
}
