import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { RevisionConflictError, RunAlreadyExistsError } from "../../errors.ts";
import { untilAborted } from "../../async/abort.ts";
import type { RunBundle } from "../../model/bundles.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { bundlesById, namedPages } from "../bundle-pages.ts";
import type { WriteListener } from "./followed-operations.ts";
import { isOutage, isRefusal, storeBundles } from "../refusals.ts";
import { isSameRevision, mergeLists } from "../run-lists.ts";
import { DatabaseCheck } from "../same-database.ts";

export interface FollowerOptions {
  readonly maxPendingRuns: number;
  readonly retryDelayMs: number;
  /** Called when something new has gone wrong. */
  readonly onDivergence: () => void;
}

/** What was missing when a comparison of the stores began. */
export interface KnownDivergence {
  readonly missed: number;
  readonly failed: ReadonlyMap<string, unknown>;
}

/** Runs that are copied together. */
const batchRuns = 100;
/** Failed runs that are remembered with their errors; more are counted as missed. */
const maxFailedRuns = 1000;
const maxRetryDelayMs = 5000;

/** The task that looks for changed runs in the lists of both stores; all other tasks are run ids. */
const allLists = null;
type Task = string | typeof allLists;

interface Waiting {
  isReached(): boolean;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Makes one store hold what another does, run by run, in the order in which the runs changed.
 *
 * It copies the current state of a run and does not repeat writes: an attempt that failed, or whose outcome is not
 * known, is repeated without harm, and a run that changes faster than the store follows is copied less often.
 */
export class Follower implements WriteListener {
  readonly #from: WorkflowStore;
  readonly #to: WorkflowStore;
  readonly #options: FollowerOptions;
  readonly #check: DatabaseCheck;
  /** By task its place in the order; a run that is touched again keeps its place. */
  readonly #tasks = new Map<Task, number>();
  readonly #failed = new Map<string, unknown>();
  readonly #waiting = new Set<Waiting>();
  #missed = 0;
  #lastError: unknown = null;
  #working = false;
  /** The tasks of the attempt under way. */
  #current: ReadonlyMap<Task, number> = new Map();
  #sequence = 0;
  #finishing = false;
  #wake = new AbortController();

  constructor(from: WorkflowStore, to: WorkflowStore, options: FollowerOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    this.#check = new DatabaseCheck(from, to, "secondary");
  }

  /** Changes that have not been copied yet, those of the attempt under way included. */
  get pendingChanges(): number {
    return this.#tasks.size + this.#current.size;
  }

  /** By id, why runs were not copied: the other store refuses them, or they cannot be read. */
  get failedRuns(): ReadonlyMap<string, unknown> {
    return this.#failed;
  }

  /** Changes that nobody knows any more: the queue was full, or the answer to a write was lost. */
  get missedChanges(): number {
    return this.#missed;
  }

  /** Why the last attempt failed; null if it succeeded. */
  get lastError(): unknown {
    return this.#lastError;
  }

  touch(runId: string): void {
    if (!this.#tasks.has(runId) && this.#tasks.size >= this.#options.maxPendingRuns) this.lose();
    else this.#add(runId);
  }

  touchUnknown(): void {
    this.#add(allLists);
  }

  lose(): void {
    this.#missed++;
    this.#options.onDivergence();
  }

  /** What a comparison that begins now will settle, if it succeeds. */
  known(): KnownDivergence {
    return { missed: this.#missed, failed: new Map(this.#failed) };
  }

  /** Every run was compared since: only what went wrong after that still counts. */
  settle({ missed, failed }: KnownDivergence): void {
    this.#missed -= missed;
    for (const [runId, error] of failed) {
      if (this.#failed.get(runId) === error) this.#failed.delete(runId);
    }
  }

  /**
   * Resolves when everything that was touched until now has been copied, or has failed by itself. Rejects with the
   * error of an attempt that fails before.
   */
  async drain(signal?: AbortSignal): Promise<void> {
    const until = this.#sequence;
    await this.#when(() => this.#oldest() > until, signal);
  }

  /** Resolves when at most `changes` are pending; rejects as `drain`. */
  async drainTo(changes: number, signal?: AbortSignal): Promise<void> {
    await this.#when(() => this.pendingChanges <= changes, signal);
  }

  /** Copies what is pending, and gives up at the first failure. Nothing may be touched afterwards. */
  async finish(): Promise<void> {
    this.#finishing = true;
    await this.drain().catch(() => undefined);
  }

  #add(task: Task): void {
    if (!this.#tasks.has(task)) this.#tasks.set(task, ++this.#sequence);
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

  /** The place of the first task that is still to be done. */
  #oldest(): number {
    for (const tasks of [this.#current, this.#tasks]) {
      for (const sequence of tasks.values()) return sequence;
    }
    return Number.POSITIVE_INFINITY;
  }

  async #work(): Promise<void> {
    this.#working = true;
    let delayMs = this.#options.retryDelayMs;
    // The caller continues first, and what it touches in the same turn is copied together.
    await setImmediate();
    while (this.#tasks.size > 0) {
      const taken = this.#take();
      this.#current = taken;
      try {
        await this.#carryOut([...taken.keys()]);
        this.#lastError = null;
        delayMs = this.#options.retryDelayMs;
        this.#current = new Map();
        this.#tellReached();
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

  #tellReached(): void {
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

  /** The next runs, or the lists alone. */
  #take(): Map<Task, number> {
    const taken = new Map<Task, number>();
    for (const [task, sequence] of this.#tasks) {
      if (taken.size === batchRuns || (taken.size > 0 && task === allLists)) break;
      taken.set(task, sequence);
      this.#tasks.delete(task);
      if (task === allLists) break;
    }
    return taken;
  }

  /** In front, in their places; what was touched since comes after. */
  #putBack(taken: ReadonlyMap<Task, number>): void {
    const later = [...this.#tasks].filter(([task]) => !taken.has(task));
    this.#tasks.clear();
    for (const [task, sequence] of [...taken, ...later]) this.#tasks.set(task, sequence);
  }

  async #carryOut(tasks: readonly Task[]): Promise<void> {
    await this.#check.pass();
    const runIds = tasks.filter((task) => task !== allLists);
    if (runIds.length > 0) return this.#copy(runIds);
    for await (const { a, b } of mergeLists(this.#from, this.#to, {})) {
      if (a !== null && b !== null && isSameRevision(a, b)) continue;
      runIds.push((a ?? b)?.runId ?? "");
      if (runIds.length === batchRuns) await this.#copy(runIds.splice(0));
    }
    if (runIds.length > 0) await this.#copy(runIds);
  }

  /** Makes the other store hold these runs as this one does, or not at all. */
  async #copy(runIds: readonly string[]): Promise<void> {
    const deleted = new Set<string>();
    let refused = await this.#copyEach(runIds, deleted);
    // A run that was deleted may have held the idempotency key of one that was refused.
    if (refused.size > 0 && deleted.size > 0) {
      refused = await this.#copyEach([...refused.keys()], deleted);
    }
    for (const runId of runIds) if (!refused.has(runId)) this.#failed.delete(runId);
    for (const [runId, error] of refused) this.#fail(runId, error);
    if (deleted.size === 0) return;
    // In the place of this attempt: who waits for it waits for what it has set free.
    const place = this.#oldest();
    const free = new Map<Task, number>();
    for (const [runId, error] of this.#failed) {
      const isHeldUp = error instanceof RunAlreadyExistsError && deleted.has(error.heldBy ?? "");
      if (isHeldUp && !refused.has(runId)) free.set(runId, place);
    }
    this.#putBack(free);
  }

  /** Copies runs together and, when any of them is refused, one by one. Returns those that were refused. */
  async #copyEach(runIds: readonly string[], deleted: Set<string>): Promise<Map<string, unknown>> {
    try {
      return await this.#copyTogether(runIds, deleted);
    } catch (error) {
      if (isOutage(error)) throw error;
      const [only = "", ...others] = runIds;
      if (others.length === 0) {
        if (!isRefusal(error) && !(await this.#bothAnswer())) throw error;
        return new Map([[only, error]]);
      }
    }
    const refused: [string, unknown][] = [];
    for (const runId of runIds) {
      for (const refusal of await this.#copyEach([runId], deleted)) refused.push(refusal);
    }
    return new Map(refused);
  }

  async #copyTogether(
    runIds: readonly string[],
    deleted: Set<string>,
  ): Promise<Map<string, unknown>> {
    const gone = new Set(runIds);
    const refused = new Map<string, unknown>();
    for await (const page of namedPages(this.#from, runIds, {})) {
      for (const error of page.corrupt) {
        const runId = error.key["run_id"] ?? "";
        gone.delete(runId);
        refused.set(runId, error);
      }
      for (const { run } of page.bundles) gone.delete(run.runId);
      await this.#store(page.bundles, refused);
    }
    for (const runId of gone) {
      if (await this.#to.deleteRun(runId)) deleted.add(runId);
    }
    return refused;
  }

  async #store(bundles: readonly RunBundle[], refused: Map<string, unknown>): Promise<void> {
    if (bundles.length === 0) return;
    const report = await storeBundles(
      this.#to,
      bundles,
      { onConflict: "replace", keepNewer: true },
      ({ run }, error) => refused.set(run.runId, error),
    );
    if (report.skipped === 0) return;
    const ids = bundles.map(({ run }) => run.runId);
    const { bundles: copies } = await bundlesById(this.#to, ids, {});
    for (const { run } of bundles) {
      const actualRevision = copies.get(run.runId)?.run.revision ?? 0;
      // A run that has changed since is copied again.
      if (actualRevision <= run.revision || this.#tasks.has(run.runId)) continue;
      const { runId, revision: expectedRevision } = run;
      refused.set(runId, new RevisionConflictError({ runId, expectedRevision, actualRevision }));
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
    this.#options.onDivergence();
  }
}
