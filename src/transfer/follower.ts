import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import {
  InvalidArgumentError,
  InvalidValueError,
  RunAlreadyExistsError,
  type GorkflowError,
} from "../errors.ts";
import { untilAborted } from "../model/abort.ts";
import type { RunBundle } from "../model/bundles.ts";
import type { PrunePolicy } from "../model/retention.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { namedPages } from "./bundle-pages.ts";
import type { WriteListener } from "./followed-operations.ts";

export interface FollowerOptions {
  readonly maxPendingRuns: number;
  readonly retryDelayMs: number;
  /** Told when something new has gone wrong. */
  readonly onDivergence: () => void;
}

/** Runs that are brought over together. */
const batchRuns = 100;
/** Failed runs that are remembered with their errors; more are counted as missed. */
const maxFailedRuns = 1000;
const maxRetryDelayMs = 5000;

type Change = { readonly runId: string } | { readonly prune: PrunePolicy };

/** Tasks are done in the order of their sequence; a run that is touched again meanwhile keeps its place. */
interface Task {
  readonly change: Change;
  readonly sequence: number;
}

interface Waiting {
  isReached(): boolean;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Makes one store hold what another does, run by run, in the order in which they changed.
 *
 * It brings over what a run has become, and does not repeat what was done to it: an attempt that failed, or whose
 * outcome is not known, is made again without harm, and a run that changes faster than the store follows is
 * brought over less often.
 */
export class Follower implements WriteListener {
  readonly #from: WorkflowStore;
  readonly #to: WorkflowStore;
  readonly #options: FollowerOptions;
  readonly #tasks = new Map<string, Task>();
  readonly #failed = new Map<string, GorkflowError>();
  readonly #waiting = new Set<Waiting>();
  #missed = 0;
  #lastError: unknown = null;
  #working = false;
  /** What is being brought over now. */
  #current: ReadonlyMap<string, Task> = new Map();
  #sequence = 0;
  #prunes = 0;
  #finishing = false;
  #wake = new AbortController();

  constructor(from: WorkflowStore, to: WorkflowStore, options: FollowerOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
  }

  /** Runs that are still to be brought over, and prunes, those of the attempt under way among them. */
  get pendingChanges(): number {
    return this.#tasks.size + this.#current.size;
  }

  /** Runs that the other store refuses, or that cannot be read, by id. */
  get failedRuns(): ReadonlyMap<string, GorkflowError> {
    return this.#failed;
  }

  /** Changes of runs that nobody knows: the queue was full, or the answer to a write was lost. */
  get missedChanges(): number {
    return this.#missed;
  }

  /** Why the last attempt came to nothing; null when it went well. */
  get lastError(): unknown {
    return this.#lastError;
  }

  touch(runId: string): void {
    this.#add(`run ${runId}`, { runId });
  }

  prune(policy: PrunePolicy): void {
    const { onProgress: _, signal: __, ...repeated } = policy;
    this.#add(`prune ${this.#prunes++}`, { prune: repeated });
  }

  lose(): void {
    this.#missed++;
    this.#options.onDivergence();
  }

  /** From here on only new misses and failures count: somebody is about to look at every run. */
  forget(): void {
    this.#missed = 0;
    this.#failed.clear();
  }

  /**
   * Resolves when everything that was touched until now has been brought over, or has failed for itself; what is
   * touched later is not waited for. Rejects with the error of an attempt that fails before.
   */
  async drain(signal?: AbortSignal): Promise<void> {
    const until = this.#sequence;
    await this.#when(() => this.#oldest() > until, signal);
  }

  /** Resolves when no more than `changes` are still to be brought over; rejects as `drain`. */
  async drainTo(changes: number, signal?: AbortSignal): Promise<void> {
    await this.#when(() => this.pendingChanges <= changes, signal);
  }

  /** Brings over what can be, and gives up at the first failure. Nothing is to be touched any more. */
  async finish(): Promise<void> {
    this.#finishing = true;
    await this.drain().catch(() => undefined);
  }

  #add(key: string, change: Change): void {
    if (!this.#tasks.has(key)) {
      if (this.#tasks.size >= this.#options.maxPendingRuns) {
        this.lose();
        return;
      }
      this.#tasks.set(key, { change, sequence: ++this.#sequence });
    }
    if (!this.#working) void this.#work();
  }

  async #when(isReached: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (isReached()) return;
    this.#wake.abort();
    const reached = new Promise<void>((resolve, reject) => {
      this.#waiting.add({ isReached, resolve, reject });
    });
    await untilAborted(signal, reached);
  }

  /** The sequence of the first task that is still to be done. */
  #oldest(): number {
    for (const tasks of [this.#current, this.#tasks]) {
      for (const { sequence } of tasks.values()) return sequence;
    }
    return Number.POSITIVE_INFINITY;
  }

  async #work(): Promise<void> {
    this.#working = true;
    let delayMs = this.#options.retryDelayMs;
    // The caller goes on first, and what it touches in the same turn comes along.
    await setImmediate();
    while (this.#tasks.size > 0) {
      const taken = this.#take();
      this.#current = taken;
      try {
        await this.#carryOut([...taken.values()]);
        this.#lastError = null;
        delayMs = this.#options.retryDelayMs;
        this.#current = new Map();
        this.#settle();
      } catch (error) {
        this.#putBack(taken);
        this.#current = new Map();
        const isNew = this.#lastError === null;
        this.#lastError = error;
        if (isNew) this.#options.onDivergence();
        for (const waiting of this.#waiting) waiting.reject(error);
        this.#waiting.clear();
        if (this.#finishing) break;
        await this.#pause(delayMs);
        delayMs = Math.min(2 * delayMs, maxRetryDelayMs);
      }
    }
    this.#working = false;
  }

  #settle(): void {
    for (const waiting of this.#waiting) {
      if (!waiting.isReached()) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  /** Waits before the next attempt; a `drain` cuts it short. */
  async #pause(delayMs: number): Promise<void> {
    this.#wake = new AbortController();
    await sleep(delayMs, undefined, { signal: this.#wake.signal, ref: false }).catch(
      () => undefined,
    );
  }

  /** The next runs, or the next prune. */
  #take(): Map<string, Task> {
    const taken = new Map<string, Task>();
    for (const [key, task] of this.#tasks) {
      const isPrune = "prune" in task.change;
      if (taken.size > 0 && (isPrune || taken.size === batchRuns)) break;
      taken.set(key, task);
      this.#tasks.delete(key);
      if (isPrune) break;
    }
    return taken;
  }

  /** In front, in the places that they had; what was touched since comes after. */
  #putBack(taken: ReadonlyMap<string, Task>): void {
    const later = [...this.#tasks].filter(([key]) => !taken.has(key));
    this.#tasks.clear();
    for (const [key, task] of [...taken, ...later]) this.#tasks.set(key, task);
  }

  async #carryOut(tasks: readonly Task[]): Promise<void> {
    const runIds: string[] = [];
    for (const { change } of tasks) {
      if ("runId" in change) runIds.push(change.runId);
      else await this.#to.pruneRuns(change.prune);
    }
    if (runIds.length > 0) await this.#bringOver(runIds);
  }

  /** `retry` is true where a run that is refused may be taken once others are gone. */
  async #bringOver(runIds: readonly string[], retry = true): Promise<void> {
    const gone = new Set(runIds);
    const refused = new Map<string, GorkflowError>();
    for await (const page of namedPages(this.#from, runIds, {})) {
      for (const { run } of page.bundles) gone.delete(run.runId);
      for (const error of page.corrupt) {
        const runId = error.key["run_id"] ?? "";
        gone.delete(runId);
        this.#fail(runId, error);
      }
      await this.#store(page.bundles, refused);
    }
    await Promise.all([...gone].map((runId) => this.#to.deleteRun(runId)));
    for (const runId of gone) this.#failed.delete(runId);
    if (refused.size === 0) return;
    // A run that is gone may have held the idempotency key of one that was refused.
    if (retry && gone.size > 0) await this.#bringOver([...refused.keys()], false);
    else for (const [runId, error] of refused) this.#fail(runId, error);
  }

  async #store(bundles: readonly RunBundle[], refused: Map<string, GorkflowError>): Promise<void> {
    try {
      await this.#to.writeBundles(bundles, { onConflict: "replace" });
      for (const { run } of bundles) this.#failed.delete(run.runId);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const [only, ...others] = bundles;
      if (only !== undefined && others.length === 0) refused.set(only.run.runId, error);
      else for (const bundle of bundles) await this.#store([bundle], refused);
    }
  }

  #fail(runId: string, error: GorkflowError): void {
    if (this.#failed.size >= maxFailedRuns && !this.#failed.has(runId)) this.#missed++;
    else this.#failed.set(runId, error);
    this.#options.onDivergence();
  }
}

/** The store does not take this run, now or later, whereas it may take others. */
function isRefusal(error: unknown): error is GorkflowError {
  return (
    error instanceof RunAlreadyExistsError ||
    error instanceof InvalidValueError ||
    error instanceof InvalidArgumentError
  );
}
