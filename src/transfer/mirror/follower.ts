import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { RevisionConflictError, RunAlreadyExistsError } from "../../errors.ts";
import { untilAborted } from "../../async/abort.ts";
import { outerFlow } from "../../async/flow.ts";
import type { RunBundle } from "../../model/bundles.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { batchRuns, namedPages } from "../bundle-pages.ts";
import { isAnswerLost, isOutage, isRefusal } from "../refusals.ts";
import { createUnreadable, isSameRevision, listPairs } from "../run-pairs.ts";
import { isSameDatabase, sameDatabaseError } from "../same-database.ts";
import type { WriteListener } from "./followed-operations.ts";
import type { DivergenceReport, ParsedMirrorOptions } from "./mirror-options.ts";

/** Failed runs that are kept with their errors; more count as missed. */
const maxFailedRuns = 1000;
const maxRetryDelayMs = 5000;

/** A run to copy; null: look for changed runs in the lists of both stores. */
type Task = string | null;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Makes one store hold what another does, run by run, in the order in which the runs changed.
 *
 * It copies the current state of a run and does not repeat writes. So an attempt that failed, or whose outcome is not
 * known, is repeated without harm, and a run that changes faster than the store follows is copied less often.
 */
export class Follower implements WriteListener {
  /**
   * True while all runs are compared on request. Then a run that the other store has at the same revision with newer
   * steps, outputs or state is replaced. Otherwise it is refused: the pending write of a killed process must not replace
   * what was written after a switch.
   */
  isComparing = false;
  readonly #from: WorkflowStore;
  readonly #to: WorkflowStore;
  readonly #options: ParsedMirrorOptions;
  /** The position of each task; a run that is touched again keeps its position. */
  #tasks = new Map<Task, number>();
  /** The tasks of the current attempt. */
  #current: ReadonlyMap<Task, number> = new Map();
  #sequence = 0;
  readonly #failed = new Map<string, unknown>();
  #missed = 0;
  #lastError: unknown = null;
  /** Callers that wait for the end of the current or next attempt. */
  readonly #waiting: Waiting[] = [];
  #isSame: boolean | null = null;
  #isWorking = false;
  #isFinishing = false;
  #wake = new AbortController();

  constructor(from: WorkflowStore, to: WorkflowStore, options: ParsedMirrorOptions) {
    if (from === to) throw sameDatabaseError("secondary");
    this.#from = from;
    this.#to = to;
    this.#options = options;
  }

  /** Changes that have not been copied yet, including those of the current attempt. */
  get pendingChanges(): number {
    return this.#tasks.size + this.#current.size;
  }

  divergence(): DivergenceReport {
    return {
      pendingChanges: this.pendingChanges,
      failedRuns: [...this.#failed].map(([runId, error]) => ({ runId, error })),
      missedChanges: this.#missed,
      lastError: this.#lastError,
    };
  }

  touch(task: Task): void {
    if (!this.#tasks.has(task)) {
      if (task !== null && this.#tasks.size >= this.#options.maxPendingRuns) return this.lose();
      this.#tasks.set(task, ++this.#sequence);
    }
    // Outside the asynchronous flow of the write that happens to come first: it may be inside a transaction of the
    // other store, which would refuse the copy.
    if (!this.#isWorking) void outerFlow(() => this.#work());
  }

  lose(): void {
    this.#missed++;
    this.#report();
  }

  /** For a comparison of all runs that begins now: the result forgets the divergence that is known now. */
  beginComparison(): () => void {
    const missed = this.#missed;
    const failed = new Map(this.#failed);
    return () => {
      this.#missed -= missed;
      for (const [runId, error] of failed) {
        if (this.#failed.get(runId) === error) this.#failed.delete(runId);
      }
    };
  }

  /**
   * Resolves when everything that was touched until now has been copied or set aside. Rejects with the error of an
   * attempt that fails before that.
   */
  async drain(signal?: AbortSignal): Promise<void> {
    const until = this.#sequence;
    await this.#until(() => this.#firstPosition() > until, signal);
  }

  /** Resolves when at most `changes` are pending; rejects as `drain`. */
  async drainTo(changes: number, signal?: AbortSignal): Promise<void> {
    await this.#until(() => this.pendingChanges <= changes, signal);
  }

  /** Copies what is pending and gives up at the first failure. Nothing may be touched afterwards. */
  async finish(): Promise<void> {
    this.#isFinishing = true;
    await this.drain().catch(() => undefined);
  }

  async #until(isReached: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    this.#wake.abort();
    while (!isReached()) {
      const attempt = new Promise<void>((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
      });
      await untilAborted(signal, attempt);
    }
  }

  /** The position of the first task that is not done. */
  #firstPosition(): number {
    const [first] = this.#current.size > 0 ? this.#current.values() : this.#tasks.values();
    return first ?? Number.POSITIVE_INFINITY;
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    let delayMs = this.#options.retryDelayMs;
    // The caller continues first: everything that it touches in the same turn is copied together.
    await setImmediate();
    while (this.#tasks.size > 0) {
      this.#current = this.#take();
      try {
        await this.#attempt([...this.#current.keys()]);
        this.#lastError = null;
        delayMs = this.#options.retryDelayMs;
        this.#endAttempt(({ resolve }) => resolve());
      } catch (error) {
        this.#putFirst(this.#current);
        const isNew = this.#lastError === null;
        this.#lastError = error;
        this.#endAttempt(({ reject }) => reject(error));
        if (isNew) this.#report();
        if (this.#isFinishing) break;
        await this.#pause(delayMs);
        delayMs = Math.min(2 * delayMs, maxRetryDelayMs);
      }
    }
    this.#isWorking = false;
  }

  #endAttempt(tell: (waiting: Waiting) => void): void {
    this.#current = new Map();
    for (const waiting of this.#waiting.splice(0)) tell(waiting);
  }

  /** Waits before the next attempt; a `drain` ends the wait. */
  async #pause(delayMs: number): Promise<void> {
    this.#wake = new AbortController();
    const { signal } = this.#wake;
    await sleep(delayMs, undefined, { signal, ref: false }).catch(() => undefined);
  }

  /** Removes the first runs from the queue, or the task that reads the lists. */
  #take(): Map<Task, number> {
    const taken = new Map<Task, number>();
    for (const [task, position] of this.#tasks) {
      if (taken.size === batchRuns || (taken.size > 0 && task === null)) break;
      taken.set(task, position);
      this.#tasks.delete(task);
      if (task === null) break;
    }
    return taken;
  }

  #putFirst(tasks: ReadonlyMap<Task, number>): void {
    const later = [...this.#tasks].filter(([task]) => !tasks.has(task));
    this.#tasks = new Map([...tasks, ...later]);
  }

  async #attempt(tasks: readonly Task[]): Promise<void> {
    this.#isSame ??= await isSameDatabase(this.#from, this.#to);
    if (this.#isSame) throw sameDatabaseError("secondary");
    let runIds = tasks.filter((task) => task !== null);
    if (runIds.length > 0) return this.#copy(runIds);
    for await (const pair of listPairs(this.#from, this.#to, {}, createUnreadable())) {
      const { runId, first, second } = pair;
      if (first !== null && second !== null && isSameRevision(first, second)) continue;
      runIds.push(runId);
      if (runIds.length < batchRuns) continue;
      await this.#copy(runIds);
      runIds = [];
    }
    await this.#copy(runIds);
  }

  /** Copies runs together and, if any of them is refused, one by one. */
  async #copy(runIds: readonly string[]): Promise<void> {
    const deleted = new Set<string>();
    const copied = new Set<string>();
    try {
      await this.#copyTogether(runIds, deleted);
      for (const runId of runIds) copied.add(runId);
    } catch (error) {
      if (isOutage(error)) throw error;
      for (const runId of runIds) {
        try {
          await this.#copyTogether([runId], deleted);
          copied.add(runId);
        } catch (cause) {
          if (isOutage(cause) || !(isRefusal(cause) || (await this.#bothAnswer()))) throw cause;
          this.#fail(runId, cause);
        }
      }
    }
    for (const runId of copied) this.#failed.delete(runId);
    // A run that was deleted may have held the idempotency key of one that was refused. The retry takes the position
    // of this attempt, so that `drain` waits for it.
    const position = this.#firstPosition();
    const released = [...this.#failed].filter(
      ([, error]) => error instanceof RunAlreadyExistsError && deleted.has(error.heldBy ?? ""),
    );
    this.#putFirst(new Map(released.map(([runId]) => [runId, position])));
  }

  /** Makes the other store hold these runs as this one does, or not at all. @throws if it refuses any of them. */
  async #copyTogether(runIds: readonly string[], deleted: Set<string>): Promise<void> {
    const gone = new Set(runIds);
    for await (const { bundles, corrupt } of namedPages(this.#from, runIds)) {
      for (const error of corrupt) throw error;
      for (const { run } of bundles) gone.delete(run.runId);
      const options = { onConflict: "replace", keepNewer: true } as const;
      const { skipped } = await this.#write((to) => to.writeBundles(bundles, options));
      const [first, second] = bundles;
      if (skipped === 0 || first === undefined) continue;
      if (second !== undefined) throw new Error("some runs are newer: copied one by one");
      const { runId, revision: expectedRevision } = first.run;
      const { isComparing } = this;
      const actualRevision = isComparing
        ? await this.#write((to) => to.transaction((tx) => replaceSameRevision(tx, first)))
        : await revisionIn(this.#to, runId);
      // A run that has changed since is copied again.
      if (this.#tasks.has(runId) || actualRevision < expectedRevision) continue;
      if (isComparing && actualRevision === expectedRevision) continue;
      throw new RevisionConflictError({ runId, expectedRevision, actualRevision });
    }
    for (const runId of gone) {
      if (await this.#write((to) => to.deleteRun(runId))) deleted.add(runId);
    }
  }

  /** Writes to the other store. A write whose answer is lost may take effect after later ones, and undo them. */
  async #write<T>(work: (to: WorkflowStore) => Promise<T>): Promise<T> {
    try {
      return await work(this.#to);
    } catch (error) {
      if (isAnswerLost(error)) this.lose();
      throw error;
    }
  }

  /** True if both stores work, so that an error is the fault of the run that was copied. */
  async #bothAnswer(): Promise<boolean> {
    const answers = await Promise.allSettled(
      [this.#from, this.#to].map((store) => store.listRuns({ limit: 1 })),
    );
    return answers.every(({ status }) => status === "fulfilled");
  }

  #fail(runId: string, error: unknown): void {
    if (this.#failed.size >= maxFailedRuns && !this.#failed.has(runId)) this.#missed++;
    else this.#failed.set(runId, error);
    this.#report();
  }

  #report(): void {
    try {
      this.#options.onDivergence?.(this.divergence());
    } catch {
      // It is called in the middle of a write, whose caller could do nothing about this error.
    }
  }
}

/** The run's revision; 0 if the store does not have it. */
async function revisionIn(store: WorkflowStore, runId: string): Promise<number> {
  return (await store.findRun(runId, { payloads: false }))?.revision ?? 0;
}

/**
 * Replaces the run if the store has it at the bundle's revision. Returns the revision that it has. Call it with a
 * transaction: `replace` alone, if it took effect late, would overwrite what was written in the meantime.
 */
async function replaceSameRevision(tx: WorkflowStore, bundle: RunBundle): Promise<number> {
  const { runId, revision } = bundle.run;
  const actualRevision = await revisionIn(tx, runId);
  if (actualRevision === revision) await tx.writeBundles([bundle], { onConflict: "replace" });
  return actualRevision;
}
