import {
  EngineClosedError,
  LeaseLostError,
  RunNotFoundError,
  StoreClosedError,
} from "../errors.ts";
import type { Clock } from "../store/clock.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { Alarm } from "./alarm.ts";
import { IdleWaits } from "./idle-waits.ts";
import type { KnownInputs } from "./known-inputs.ts";
import type { EventEmitter } from "./event-emitter.ts";
import type { BoundLogger } from "./logger.ts";
import { Backoff, breathe, WakeUp } from "./pauses.ts";
import { RunClaims, type ClaimedRun } from "./run-claims.ts";
import { RunExecution } from "./run-execution.ts";
import { RunReports } from "./run-reports.ts";
import { noTelemetry, type Telemetry } from "./telemetry.ts";
import type { WorkflowRegistry } from "./workflow-registry.ts";

export interface WorkerOptions {
  readonly store: WorkflowStore;
  readonly registry: WorkflowRegistry;
  readonly knownInputs: KnownInputs;
  readonly workerId: string;
  readonly leaseMs: number;
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
  isBeating: boolean;
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
  #isStopping = false;
  #claimCount = 0;
  #endedCount = 0;
  readonly #idleWaits = new IdleWaits();

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#claims = new RunClaims(options);
    this.#alarm = new Alarm(options.clock, () => this.#bell.ring());
  }

  /** Works until `stop`. There is one loop, however often this is called. @throws {StoreClosedError} */
  work(): Promise<void> {
    this.#loop ??= this.#work().finally(() => {
      this.#loop = null;
      this.#isStopping = false;
    });
    return this.#loop;
  }

  get isWorking(): boolean {
    return this.#loop !== null;
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

  /**
   * Resolves when nothing is left to claim or under way, or the work ends: how many runs ended here until then.
   *
   * @throws {StoreClosedError}
   */
  async untilIdle(): Promise<number> {
    const endedBefore = this.#endedCount;
    do {
      await this.#allEnded();
      const idle = this.#idleWaits.begin(this.#claimCount);
      this.#bell.ring();
      await idle;
    } while (this.#active.size > 0);
    return this.#endedCount - endedBefore;
  }

  async #work(): Promise<void> {
    const { concurrency, leaseMs } = this.#options;
    const backoff = new Backoff(firstPollMs, longestPollMs);
    this.#telemetry = await this.#options.openTelemetry();
    const heartbeat = setInterval(() => this.#beat(), leaseMs / 4);
    try {
      while (!this.#isStopping) {
        const begun = await this.#claim(concurrency - this.#active.size);
        if (begun > 0) backoff.reset();
        if (this.#isStopping || (begun > 0 && this.#claims.hasMore && !this.isFull)) continue;
        if (await this.#bell.wait(this.isFull ? null : backoff.next())) backoff.reset();
        await breathe();
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
    const { logger, events } = this.#options;
    const telemetry = this.#telemetry;
    const reports = new RunReports({ run: claimed.run, logger, events, telemetry });
    const { knownInputs, leaseMs } = this.#options;
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
      isBeating: false,
      ended: Promise.resolve(),
    };
    this.#active.set(runId, active);
    active.ended = this.#execute(active, reports, before?.ended);
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
    if (ending !== "released") this.#endedCount += 1;
    if (active.execution.wakesAt !== null) this.#alarm.set(active.execution.wakesAt);
    if (wasFull || this.#claims.hasMore) this.#bell.ring();
    this.#options.onEnded(runId);
  }

  /** Extends the leases that are not fresh any more. */
  #beat(): void {
    const oldest = performance.now() - this.#options.leaseMs / 4;
    for (const active of this.#active.values()) {
      if (active.isBeating || active.leasedAt > oldest) continue;
      active.isBeating = true;
      void this.#extend(active).finally(() => {
        active.isBeating = false;
      });
    }
  }

  async #extend(active: ActiveRun): Promise<void> {
    const { store, workerId, leaseMs, logger } = this.#options;
    const { runId, attempt, execution } = active;
    const leasedAt = performance.now();
    try {
      await store.extendLease({ runId, workerId, attempt, leaseMs });
      active.leasedAt = leasedAt;
    } catch (error) {
      if (error instanceof LeaseLostError || error instanceof RunNotFoundError) {
        await execution.lose(error);
      } else if (error instanceof StoreClosedError) {
        execution.stop(error);
      } else {
        // The fence holds until somebody else claims the run: it may go on.
        logger.warn({ runId, err: error }, "lease could not be extended");
      }
    }
  }
}
