import { outerFlow } from "../../async/flow.ts";
import {
  EngineClosedError,
  LeaseLostError,
  RunAbandonedError,
  RunNotFoundError,
  StoreClosedError,
} from "../../errors.ts";
import type { Clock } from "../../store/clock.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { Alarm } from "./alarm.ts";
import { IdleWaits } from "./idle-waits.ts";
import type { KnownInputs } from "../run/known-inputs.ts";
import type { EventEmitter } from "../observe/event-emitter.ts";
import type { BoundLogger } from "../observe/logger.ts";
import { dueTurn } from "../../async/pause.ts";
import { Backoff } from "../../async/retry.ts";
import { WakeUp } from "../pauses.ts";
import { RunClaims, type ClaimedRun } from "./run-claims.ts";
import { RunExecution, type RunEnding } from "../run/run-execution.ts";
import { RunReports } from "../observe/run-observer.ts";
import type { StartFlows } from "../start-flows.ts";
import { noTelemetry, type Telemetry } from "../observe/telemetry.ts";
import type { WorkflowRegistry } from "../definition/workflow-registry.ts";

export interface WorkerOptions {
  readonly store: WorkflowStore;
  readonly registry: WorkflowRegistry;
  readonly knownInputs: KnownInputs;
  readonly flows: StartFlows;
  readonly workerId: string;
  readonly leaseMs: number;
  /** For workflows that have no number of their own. */
  readonly maxLostLeases: number;
  /** The most runs that are under way here at once. */
  readonly concurrency: number;
  readonly logger: BoundLogger;
  readonly events: EventEmitter;
  readonly openTelemetry: () => Promise<Telemetry>;
  readonly clock: Clock;
  /** Called when nothing happens here any more with a run, whatever came of it. */
  readonly onEnded: (runId: string) => void;
}

/** A run under way here. */
interface ActiveRun {
  readonly runId: string;
  /** Of the claim: its fence. */
  readonly attempt: number;
  readonly execution: RunExecution;
  ended: Promise<void>;
  /** When its lease was taken or last extended, on the clock of `performance`. */
  leasedAt: number;
  /** When it ends on the store's clock. */
  leaseEndsAt: number;
  /** The extension under way. */
  extension: Promise<boolean> | null;
}

const firstPollMs = 50;
const longestPollMs = 1000;

/**
 * Claims runs, runs them, and keeps their leases, until it is told to stop.
 *
 * A run that is started in this process rings a bell; for all others it asks again and again, less often while
 * there is nothing to do.
 */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #claims: RunClaims;
  #telemetry: Telemetry = noTelemetry;
  readonly #active = new Map<string, ActiveRun>();
  readonly #bell = new WakeUp();
  readonly #alarm: Alarm;
  #loop: Promise<void> | null = null;
  /** The loop that begins when the present one has been stopped. */
  #next: Promise<void> | null = null;
  #isStopping = false;
  #isClosed = false;
  /** Since when all places are taken, on the clock of `performance`; null while one is free. */
  #fullSince: number | null = null;
  #claimCount = 0;
  #endedCount = 0;
  readonly #idleWaits = new IdleWaits();

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#claims = new RunClaims(options);
    this.#alarm = new Alarm(options.clock, () => this.#bell.ring());
  }

  /**
   * Works until `stop`. There is one loop, however often this is called; a call while the loop is being stopped begins
   * the next one when it has ended.
   *
   * @throws {StoreClosedError}
   */
  work(): Promise<void> {
    if (this.#loop !== null) {
      if (!this.#isStopping || this.#isClosed) return this.#loop;
      this.#next ??= this.#loop
        .catch(() => {})
        .then(async () => {
          this.#next = null;
          if (!this.#isClosed) await this.work();
        });
      return this.#next;
    }
    // Not in the flow of the request that happens to come first.
    this.#loop = outerFlow(() => this.#work()).finally(() => {
      this.#loop = null;
      this.#isStopping = false;
    });
    return this.#loop;
  }

  /** True while runs are claimed. */
  get isWorking(): boolean {
    return this.#loop !== null && !this.#isStopping;
  }

  isActive(runId: string): boolean {
    return this.#active.has(runId);
  }

  /** Looks for runs at once. */
  wake(): void {
    this.#bell.ring();
  }

  /** Looks for runs at that time, if it works then. */
  wakeAt(time: Date): void {
    if (this.isWorking) this.#alarm.set(time);
  }

  /** Ends what happens here of the run, if anything does, and resolves when it has ended. */
  async stopRun(runId: string, reason: Error): Promise<void> {
    const active = this.#active.get(runId);
    active?.execution.stop(reason);
    await active?.ended;
  }

  /**
   * Claims no more, lets the steps under way end, and gives the runs back. After `deadlineMs` steps are no longer
   * waited for: their signals abort, and whoever claims the run begins them again.
   */
  async stop(deadlineMs: number): Promise<void> {
    if (this.#loop === null) return;
    this.#isStopping = true;
    this.#bell.ring();
    for (const { execution } of this.#active.values()) execution.drain();
    const late = setTimeout(() => {
      for (const { execution } of this.#active.values()) execution.stop(new EngineClosedError());
    }, deadlineMs);
    try {
      await this.#loop;
    } finally {
      clearTimeout(late);
    }
  }

  /** As `stop`, for good. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosed = true;
    await this.stop(deadlineMs);
  }

  /**
   * Resolves when nothing is left to claim or under way, or the work ends: how many runs ended here until then.
   *
   * @throws {StoreClosedError}
   */
  async untilIdle(): Promise<number> {
    const endedBefore = this.#endedCount;
    let isIdle = false;
    while (!isIdle && !this.#isClosed) {
      // A loop that ends with an error says so to those who wait for a claim.
      if (!this.isWorking) this.work().catch(() => {});
      if (this.#isStopping) {
        await this.#loop?.catch(() => {});
        continue;
      }
      await this.#allEnded();
      if (!this.isWorking) continue;
      const idle = this.#idleWaits.begin(this.#claimCount);
      this.#bell.ring();
      isIdle = (await idle) && this.#active.size === 0;
    }
    return this.#endedCount - endedBefore;
  }

  async #work(): Promise<void> {
    const { concurrency, leaseMs } = this.#options;
    const backoff = new Backoff(firstPollMs, longestPollMs);
    const heartbeat = setInterval(() => this.#beat(), leaseMs / 4);
    try {
      while (!this.#isStopping) {
        this.#telemetry = await this.#options.openTelemetry();
        const begun = await this.#claim(concurrency - this.#active.size);
        if (begun > 0) backoff.reset();
        if (this.#isStopping || (begun > 0 && this.#claims.hasMore && !this.isFull)) continue;
        if (await this.#bell.wait(this.isFull ? null : backoff.next())) backoff.reset();
        await dueTurn();
      }
    } catch (error) {
      // The store is closed: nothing can be stored of what is under way.
      this.#isStopping = true;
      for (const { execution } of this.#active.values()) execution.stop(error);
      this.#idleWaits.fail(error);
      throw error;
    } finally {
      await this.#allEnded();
      clearInterval(heartbeat);
      this.#alarm.clear();
      this.#idleWaits.end(Infinity);
    }
  }

  /** True when it has as many runs under way as it may have. */
  get isFull(): boolean {
    return this.#active.size >= this.#options.concurrency;
  }

  async #allEnded(): Promise<void> {
    await Promise.all([...this.#active.values()].map(({ ended }) => ended));
  }

  /** Claims as many runs as there is room for, and begins them: how many that were. */
  async #claim(room: number): Promise<number> {
    if (room <= 0) return 0;
    const claimCount = ++this.#claimCount;
    // After a pause that was longer than the lease the claim would find the runs that are under way here.
    if (!(await this.#keepLeases())) return 0;
    const leasedAt = performance.now();
    const claimed = await this.#claims.claim(room);
    if (claimed === null) return 0;
    if (this.#isStopping) {
      await this.#claims.release(claimed.map(({ run }) => run));
      return 0;
    }
    for (const one of claimed) this.#begin(one, leasedAt);
    if (!this.#claims.hasMore) this.#idleWaits.end(claimCount);
    return claimed.length;
  }

  #begin(claimed: ClaimedRun, leasedAt: number): void {
    const { runId, attempt } = claimed.run;
    const before = this.#active.get(runId);
    // Our own lease ran out and we were the next to claim it, or the run was reopened.
    before?.execution.stop(new LeaseLostError({ runId, workerId: this.#options.workerId }));
    const { logger, events, knownInputs, flows, leaseMs, clock } = this.#options;
    const telemetry = this.#telemetry;
    const reports = new RunReports({ run: claimed.run, logger, events, telemetry });
    const execution = new RunExecution({
      ...this.#options,
      ...claimed,
      reports,
      knownInput: knownInputs.take(claimed.run),
      patienceMs: leaseMs,
    });
    const active: ActiveRun = {
      runId,
      attempt,
      execution,
      leasedAt,
      leaseEndsAt: claimed.run.leaseExpiresAt?.getTime() ?? clock().getTime() + leaseMs,
      extension: null,
      ended: Promise.resolve(),
    };
    const { lostLeases } = claimed.run;
    if (lostLeases >= (claimed.workflow.maxLostLeases ?? this.#options.maxLostLeases)) {
      execution.stop(new RunAbandonedError({ runId, lostLeases }));
    }
    this.#active.set(runId, active);
    if (this.isFull) this.#fullSince ??= performance.now();
    active.ended = flows.take(runId)(() => this.#execute(active, reports, before?.ended));
  }

  async #execute(
    active: ActiveRun,
    reports: RunReports,
    before: Promise<void> | undefined,
  ): Promise<void> {
    const { runId } = active;
    await before;
    reports.started();
    const ending = await active.execution.run();
    reports.ended(ending);
    const wasFull = this.isFull;
    if (this.#active.get(runId) === active) this.#active.delete(runId);
    this.#fullSince = null;
    if (hasEnded.has(ending)) this.#endedCount += 1;
    if (active.execution.wakesAt !== null) this.#alarm.set(active.execution.wakesAt);
    if (wasFull || this.#claims.hasMore) this.#bell.ring();
    this.#options.onEnded(runId);
  }

  /** For how long no place has become free; 0 while one is. */
  get fullForMs(): number {
    return this.#fullSince === null ? 0 : performance.now() - this.#fullSince;
  }

  /** Extends the leases that are not fresh any more. */
  #beat(): void {
    const oldest = performance.now() - this.#options.leaseMs / 4;
    for (const active of this.#active.values()) {
      if (active.leasedAt <= oldest) void this.#extend(active);
    }
  }

  /**
   * Extends the leases that may have run out by now, as after a process was paused: false when one could not be, and
   * might be claimed.
   */
  async #keepLeases(): Promise<boolean> {
    const { leaseMs, clock } = this.#options;
    const oldest = performance.now() - leaseMs / 2;
    // The clock of `performance` stands still while a computer sleeps; the other one may be set.
    const soon = clock().getTime() + leaseMs / 2;
    const stale = [...this.#active.values()].filter(
      ({ leasedAt, leaseEndsAt }) => leasedAt <= oldest || leaseEndsAt <= soon,
    );
    if (stale.length === 0) return true;
    const kept = await Promise.all(stale.map((active) => this.#extend(active)));
    return kept.every(Boolean);
  }

  /** Extends the lease; false when nobody knows whether that took place. */
  #extend(active: ActiveRun): Promise<boolean> {
    active.extension ??= this.#sendExtension(active).finally(() => {
      active.extension = null;
    });
    return active.extension;
  }

  async #sendExtension(active: ActiveRun): Promise<boolean> {
    const { store, workerId, leaseMs, logger } = this.#options;
    const { runId, attempt, execution } = active;
    const leasedAt = performance.now();
    try {
      const end = await store.extendLease({ runId, workerId, attempt, leaseMs });
      active.leasedAt = leasedAt;
      active.leaseEndsAt = end.getTime();
      return true;
    } catch (error) {
      if (error instanceof LeaseLostError || error instanceof RunNotFoundError) {
        execution.lose(error);
        return true;
      }
      if (error instanceof StoreClosedError) execution.stop(error);
      // The fence holds until somebody else claims the run: it may continue.
      else logger.warn({ runId, err: error }, "lease could not be extended");
      return false;
    }
  }
}

/** The endings that `recover` counts. */
const hasEnded: ReadonlySet<RunEnding> = new Set(["completed", "failed", "cancelled"]);
