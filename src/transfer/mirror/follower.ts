import { EventEmitter, once } from "node:events";
import { isDeepStrictEqual } from "node:util";
import * as z from "zod/mini";
import { RevisionConflictError, RunAlreadyExistsError } from "../../errors.ts";
import { Stopper, untilAborted } from "../../async/abort.ts";
import { outerFlow } from "../../async/flow.ts";
import { nextTurn, pause } from "../../async/pause.ts";
import { callbackSchema } from "../../model/arguments.ts";
import type { RunBundle } from "../../model/bundles.ts";
import { positiveTimerMsSchema } from "../../model/times.ts";
import type { WorkflowPause } from "../../schema/rows.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { batchRuns, namedPages } from "../bundle-pages.ts";
import { isAnswerLost, isOutage, isRefusal } from "../refusals.ts";
import { isSameDatabase, sameDatabaseError } from "../same-database.ts";
import { isSameRevision, StoreComparison } from "../store-comparison.ts";
import { pauses, type Change } from "./followed-operations.ts";

export interface MirrorOptions {
  /** The most changed runs that wait for the secondary; further changes are missed and counted. Defaults to 10,000. */
  readonly maxPendingRuns?: number | undefined;
  /** Milliseconds before a failed attempt is repeated, doubled up to 5 s. Defaults to 100. */
  readonly retryDelayMs?: number | undefined;
  /**
   * Called when the secondary begins to fail, when it refuses a run, and when a change is missed. Its errors are ignored.
   */
  readonly onDivergence?: ((report: DivergenceReport) => unknown) | undefined;
}

/** How far the secondary is behind the primary, as far as this mirror knows. */
export interface DivergenceReport {
  /** Changes that have not been copied yet. */
  readonly pendingChanges: number;
  /**
   * Runs that were not copied, each with its error, and will not be until they change again: the secondary refuses
   * them or has a newer run, or they cannot be read. `resync` copies over newer steps, outputs and state of the same
   * revision. A run of a later revision must be deleted from the secondary first, and any newer run if the secondary
   * has no transactions.
   */
  readonly failedRuns: readonly { readonly runId: string; readonly error: unknown }[];
  /**
   * Changes whose runs are not known, because the queue was full or the answer to a write was lost, and pauses that the
   * secondary refuses.
   */
  readonly missedChanges: number;
  /** Why the last attempt to copy failed; null if it succeeded. */
  readonly lastError: unknown;
}

export const mirrorOptionsSchema = z.strictObject({
  maxPendingRuns: z._default(z.int().check(z.minimum(1)), 10_000),
  retryDelayMs: z._default(positiveTimerMsSchema, 100),
  onDivergence: callbackSchema<DivergenceReport>(),
});

/** Failed runs that are kept with their errors; more count as missed. */
const maxFailedRuns = 1000;
const maxRetryDelayMs = 5000;
/** How long after the last lost answer the runs are copied again that the write may have changed since. */
const recheckMs = 60_000;

/**
 * Makes one store hold what another does, run by run, in the order in which the runs changed.
 *
 * It copies the current state of a run and does not repeat writes. So an attempt that failed, or whose outcome is not
 * known, is repeated without harm, and a run that changes faster than the store follows is copied less often.
 */
export class Follower {
  /**
   * True while all runs are compared on request. Then a run that the other store has at the same revision with newer
   * steps, outputs or state is replaced. Otherwise it is refused: the pending write of a killed process must not replace
   * what was written after a switch.
   */
  isComparing = false;
  /** The number of writes to either store whose answers were lost. Any of them may still take effect. */
  lostAnswers = 0;
  /** The last runs that such a write may change. */
  readonly unsettled = new Set<string>();
  readonly #from: WorkflowStore;
  readonly #to: WorkflowStore;
  readonly #options: z.output<typeof mirrorOptionsSchema>;
  /** The position of each change. A run that changes again keeps its position. */
  #pending = new Map<Change, number>();
  /** The changes of the current attempt. */
  #current: ReadonlyMap<Change, number> = new Map();
  #sequence = 0;
  readonly #failed = new Map<string, unknown>();
  #missed: number;
  #lastError: unknown = null;
  /** Emits `end` or `error` when an attempt has ended. */
  readonly #attempts = new EventEmitter().setMaxListeners(0);
  #isSame: boolean | null = null;
  #isWorking = false;
  #isFinishing = false;
  #recheck: NodeJS.Timeout | undefined;
  /** Ends the wait for the next attempt. */
  #wake = new Stopper();

  constructor(
    from: WorkflowStore,
    to: WorkflowStore,
    options: z.output<typeof mirrorOptionsSchema>,
    missedChanges = 0,
  ) {
    if (from === to) throw sameDatabaseError("secondary");
    this.#from = from;
    this.#to = to;
    this.#options = options;
    this.#missed = missedChanges;
  }

  /** Changes that have not been copied yet, including those of the current attempt. */
  get pendingChanges(): number {
    return this.#pending.size + this.#current.size;
  }

  divergence(): DivergenceReport {
    return {
      pendingChanges: this.pendingChanges,
      failedRuns: [...this.#failed].map(([runId, error]) => ({ runId, error })),
      missedChanges: this.#missed,
      lastError: this.#lastError,
    };
  }

  touch(change: Change): void {
    if (!this.#pending.has(change)) {
      if (typeof change === "string" && this.#pending.size >= this.#options.maxPendingRuns) {
        return this.#miss();
      }
      this.#pending.set(change, ++this.#sequence);
    }
    this.#start();
  }

  /** Takes the changes of a write. One whose answer was lost may take effect after later ones, and undo them. */
  readonly note = (changes: readonly Change[], isLost: boolean): void => {
    if (isLost) this.#lose(changes);
    for (const change of changes) this.touch(change);
  };

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
    signal?.throwIfAborted();
    const until = this.#sequence;
    this.#wake.abort();
    // `finish` may have given up.
    this.#start();
    while (this.#firstPosition() <= until) {
      await untilAborted(signal, once(this.#attempts, "end"));
    }
  }

  /** Copies what is pending and gives up at the first failure. Nothing may be touched afterwards. */
  async finish(): Promise<void> {
    this.retire();
    await this.drain().catch(() => undefined);
  }

  /** Copies nothing later on its own. */
  retire(): void {
    this.#isFinishing = true;
    clearTimeout(this.#recheck);
  }

  /** The position of the first change that is not copied. */
  #firstPosition(): number {
    const [first] = this.#current.size > 0 ? this.#current.values() : this.#pending.values();
    return first ?? Number.POSITIVE_INFINITY;
  }

  #start(): void {
    // Outside the asynchronous flow of the write that happens to come first: it may be inside a transaction of the
    // other store, which would refuse the copy.
    if (!this.#isWorking) void outerFlow(() => this.#work());
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    let delayMs = this.#options.retryDelayMs;
    // The caller continues first: everything that it touches in the same turn is copied together.
    await nextTurn();
    while (this.#pending.size > 0) {
      this.#current = new Map([...this.#pending].slice(0, batchRuns));
      for (const change of this.#current.keys()) this.#pending.delete(change);
      try {
        await this.#attempt([...this.#current.keys()]);
        this.#current = new Map();
        this.#lastError = null;
        delayMs = this.#options.retryDelayMs;
        this.#attempts.emit("end");
      } catch (error) {
        this.#putFirst(this.#current);
        this.#current = new Map();
        const isNew = this.#lastError === null;
        this.#lastError = error;
        if (this.#attempts.listenerCount("error") > 0) this.#attempts.emit("error", error);
        if (isNew) this.#report();
        if (this.#isFinishing) break;
        this.#wake = new Stopper();
        await pause(delayMs, this.#wake, { unref: true });
        delayMs = Math.min(2 * delayMs, maxRetryDelayMs);
      }
    }
    this.#isWorking = false;
  }

  #putFirst(changes: ReadonlyMap<Change, number>): void {
    const later = [...this.#pending].filter(([change]) => !changes.has(change));
    this.#pending = new Map([...changes, ...later]);
  }

  async #attempt(changes: readonly Change[]): Promise<void> {
    this.#isSame ??= await isSameDatabase(this.#from, this.#to);
    if (this.#isSame) throw sameDatabaseError("secondary");
    let runIds = changes.filter((change) => typeof change === "string");
    if (changes.includes(null)) {
      for await (const pair of new StoreComparison(this.#from, this.#to).pairs()) {
        const { runId, first, second } = pair;
        if (first !== null && second !== null && isSameRevision(first, second)) continue;
        runIds.push(runId);
        if (runIds.length < batchRuns) continue;
        await this.#copy(runIds);
        runIds = [];
      }
    }
    await this.#copy(runIds);
    if (changes.includes(pauses)) await this.#copyPauses();
  }

  async #copyPauses(): Promise<void> {
    const lists = [this.#from, this.#to].map((store) => store.listPausedWorkflows());
    const [wanted, found] = (await this.#orMissed(Promise.all(lists))) ?? [];
    if (wanted === undefined || found === undefined) return;
    for (const { workflowId } of found.filter(isMissingIn(wanted))) {
      await this.#orMissed(this.#to.resumeWorkflow(workflowId));
    }
    for (const { workflowId, pausedAt, reason } of wanted.filter(isMissingIn(found))) {
      const options = { pausedAt, reason: reason ?? undefined };
      await this.#orMissed(this.#to.pauseWorkflow(workflowId, options));
    }
  }

  /** A pause that is refused must not keep runs from being copied, so it counts as missed. Returns null then. */
  async #orMissed<T>(work: Promise<T>): Promise<T | null> {
    try {
      return await work;
    } catch (error) {
      if (isAnswerLost(error)) this.#lose([pauses]);
      if (!isRefusal(error)) throw error;
      this.#miss();
      return null;
    }
  }

  /** Copies runs together and, if any of them is refused, one by one. */
  async #copy(runIds: readonly string[]): Promise<void> {
    try {
      await this.#copyTogether(runIds);
    } catch (error) {
      if (isAnswerLost(error)) this.#lose(runIds);
      const [runId, another] = runIds;
      if (another !== undefined && !isOutage(error)) {
        for (const each of runIds) await this.#copy([each]);
        return;
      }
      const isOfRun = isRefusal(error) || (!isOutage(error) && (await this.#bothAnswer()));
      if (!isOfRun || runId === undefined) throw error;
      if (this.#failed.size >= maxFailedRuns && !this.#failed.has(runId)) this.#missed++;
      else this.#failed.set(runId, error);
      this.#report();
    }
  }

  /** Makes the other store hold these runs as this one does, or not at all. @throws if it refuses any of them. */
  async #copyTogether(runIds: readonly string[]): Promise<void> {
    const gone = new Set(runIds);
    for await (const { bundles, corrupt } of namedPages(this.#from, runIds)) {
      for (const error of corrupt) throw error;
      for (const { run } of bundles) gone.delete(run.runId);
      const options = { onConflict: "replace", keepNewer: true } as const;
      const { skipped } = await this.#to.writeBundles(bundles, options);
      const [first, second] = bundles;
      if (skipped > 0 && first !== undefined) {
        if (second !== undefined) throw new Error("some runs are newer: copied one by one");
        await this.#copyOverNewer(first);
      }
      // A start may have given the key of such a run to a newer one.
      for (const { run } of bundles) if (run.idempotencyKey === null) this.#retryHeldBy(run.runId);
    }
    for (const runId of gone) {
      if (await this.#to.deleteRun(runId)) this.#retryHeldBy(runId);
    }
    for (const runId of runIds) this.#failed.delete(runId);
  }

  /** For a run of which the other store has a newer version. @throws {RevisionConflictError} if that stays. */
  async #copyOverNewer(bundle: RunBundle): Promise<void> {
    const { runId, revision: expectedRevision } = bundle.run;
    const { isComparing } = this;
    const replaceSame = async (store: WorkflowStore): Promise<number> => {
      const actual = (await store.findRun(runId, { payloads: false }))?.revision ?? 0;
      const isSame = isComparing && actual === expectedRevision;
      if (isSame) await store.writeBundles([bundle], { onConflict: "replace" });
      return actual;
    };
    // Without a transaction, a late replacement would overwrite newer writes. A guarded batch would not do, because it can
    // arrive after an equal one that took effect, and after later writes that have the same revisions again.
    const actualRevision = await (isComparing
      ? this.#to.transaction(replaceSame)
      : replaceSame(this.#to));
    // A run that has changed since is copied again.
    if (this.#pending.has(runId) || actualRevision < expectedRevision) return;
    if (isComparing && actualRevision === expectedRevision) return;
    throw new RevisionConflictError({ runId, expectedRevision, actualRevision });
  }

  /** Retries runs that were refused because this run had their idempotency key, which it does not have any more. */
  #retryHeldBy(runId: string): void {
    // They take the position of this attempt, so that `drain` waits for them.
    const position = this.#firstPosition();
    const released = [...this.#failed].filter(
      ([, error]) => error instanceof RunAlreadyExistsError && error.heldBy === runId,
    );
    if (released.length === 0) return;
    this.#putFirst(new Map(released.map(([each]) => [each, position])));
  }

  /** True if both stores work, so that an error is the fault of the run that was copied. */
  async #bothAnswer(): Promise<boolean> {
    const answers = [this.#from, this.#to].map((store) => store.listRuns({ limit: 1 }));
    return (await Promise.allSettled(answers)).every(({ status }) => status === "fulfilled");
  }

  #lose(changes: readonly Change[]): void {
    this.lostAnswers++;
    for (const change of changes) if (typeof change === "string") this.unsettled.add(change);
    for (const runId of [...this.unsettled].slice(0, -batchRuns)) this.unsettled.delete(runId);
    clearTimeout(this.#recheck);
    const recheck = (): void => {
      this.touch(pauses);
      for (const runId of this.unsettled) this.touch(runId);
    };
    if (!this.#isFinishing) this.#recheck = outerFlow(() => setTimeout(recheck, recheckMs)).unref();
    this.#miss();
  }

  #miss(): void {
    this.#missed++;
    this.#report();
  }

  #report(): void {
    const report = async (): Promise<unknown> => this.#options.onDivergence?.(this.divergence());
    // It is called in the middle of a write, whose caller could do nothing about this error.
    report().catch(() => undefined);
  }
}

/** True for a pause that `others` does not have. */
function isMissingIn(others: readonly WorkflowPause[]): (pause: WorkflowPause) => boolean {
  return (wanted) => !others.some((other) => isDeepStrictEqual(wanted, other));
}
