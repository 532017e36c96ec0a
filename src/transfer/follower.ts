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
const batchRuns = 50;
/** Failed runs that are remembered with their errors; more are counted as missed. */
const maxFailedRuns = 1000;
const maxRetryDelayMs = 5000;

type Task = { readonly runId: string } | { readonly prune: PrunePolicy };

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
  readonly #waiting = new Set<{ pending: number; resolve(): void; reject(error: unknown): void }>();
  #missed = 0;
  #lastError: unknown = null;
  #working = false;
  #current = 0;
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
    return this.#tasks.size + this.#current;
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
   * Resolves when no more than `pending` changes are still to be brought over. Rejects with the error of an attempt
   * that fails before.
   */
  async drain(pending = 0, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.pendingChanges <= pending) return;
    this.#wake.abort();
    const drained = new Promise<void>((resolve, reject) => {
      this.#waiting.add({ pending, resolve, reject });
    });
    await untilAborted(signal, drained);
  }

  /** Brings over what can be, and gives up at the first failure. Nothing is to be touched any more. */
  async finish(): Promise<void> {
    this.#finishing = true;
    await this.drain().catch(() => undefined);
  }

  #add(key: string, task: Task): void {
    if (!this.#tasks.has(key) && this.#tasks.size >= this.#options.maxPendingRuns) {
      this.lose();
      return;
    }
    this.#tasks.set(key, task);
    if (!this.#working) void this.#work();
  }

  async #work(): Promise<void> {
    this.#working = true;
    let delayMs = this.#options.retryDelayMs;
    // The caller goes on first, and what it touches in the same turn comes along.
    await setImmediate();
    while (this.#tasks.size > 0) {
      const taken = this.#take();
      this.#current = taken.size;
      try {
        await this.#carryOut([...taken.values()]);
        this.#lastError = null;
        delayMs = this.#options.retryDelayMs;
        this.#current = 0;
        this.#settle();
      } catch (error) {
        this.#putBack(taken);
        this.#current = 0;
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
      if (this.pendingChanges > waiting.pending) continue;
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
      if (taken.size > 0 && ("prune" in task || taken.size === batchRuns)) break;
      taken.set(key, task);
      this.#tasks.delete(key);
      if ("prune" in task) break;
    }
    return taken;
  }

  /** In front: what was touched since comes after. */
  #putBack(taken: ReadonlyMap<string, Task>): void {
    const later = [...this.#tasks];
    this.#tasks.clear();
    for (const [key, task] of [...taken, ...later]) this.#tasks.set(key, task);
  }

  async #carryOut(tasks: readonly Task[]): Promise<void> {
    const runIds: string[] = [];
    for (const task of tasks) {
      if ("runId" in task) runIds.push(task.runId);
      else await this.#to.pruneRuns(task.prune);
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
    for (const runId of gone) {
      await this.#to.deleteRun(runId);
      this.#failed.delete(runId);
    }
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
