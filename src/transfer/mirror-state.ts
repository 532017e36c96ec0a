import { refuseInsideTransaction, withOpenTransaction } from "../async-context.ts";
import { SwitchOverError, UnreadableRunsError, type CorruptRowError } from "../errors.ts";
import { untilAborted } from "../model/abort.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import type { StoreOperations } from "../stores/operations-store.ts";
import { bundlesById } from "./bundle-pages.ts";
import { compareRuns, differenceOf } from "./compare-stores.ts";
import { followOperations } from "./followed-operations.ts";
import { Follower } from "./follower.ts";
import { Gate } from "./gate.ts";
import type {
  DivergenceReport,
  ParsedMirrorOptions,
  ParsedSwitchOverOptions,
  ResyncReport,
  SwitchOverReport,
} from "./mirror-options.ts";

/** Differing runs that are few enough to be looked at once more while calls wait. */
const fewRuns = 1000;
const maxComparisons = 10;

/** Which of two stores answers, what follows it, and how they change places. */
export class MirrorState {
  readonly operations: StoreOperations;
  readonly #options: ParsedMirrorOptions;
  readonly #gate = new Gate();
  #primary: WorkflowStore;
  #secondary: WorkflowStore;
  #follower: Follower;
  #followed: StoreOperations;
  #comparing = false;

  constructor(primary: WorkflowStore, secondary: WorkflowStore, options: ParsedMirrorOptions) {
    this.#options = options;
    this.#primary = primary;
    this.#secondary = secondary;
    this.#follower = this.#createFollower();
    this.#followed = followOperations(primary, this.#follower);
    this.operations = this.#guardOperations();
  }

  get answering(): WorkflowStore {
    return this.#primary;
  }

  divergence(): DivergenceReport {
    const { pendingChanges, failedRuns, missedChanges, lastError } = this.#follower;
    return {
      pendingChanges,
      failedRuns: [...failedRuns].map(([runId, error]) => ({ runId, error })),
      missedChanges,
      lastError,
    };
  }

  async drain(signal: AbortSignal | undefined): Promise<void> {
    await this.#follower.drain(signal);
  }

  async close(): Promise<void> {
    await this.#follower.finish();
    await Promise.all([this.#primary.close(), this.#secondary.close()]);
  }

  async switchOver(options: ParsedSwitchOverOptions): Promise<SwitchOverReport> {
    const { signal } = options;
    return this.#alone(async () => {
      for (let comparisons = 1; comparisons <= maxComparisons; comparisons++) {
        const { differing, some } = await this.#bringOverDifferences(signal);
        if (differing > fewRuns || !this.#followsAll()) continue;
        const pausedMs = await this.#switchWhilePaused(some, options);
        if (pausedMs !== null) return { comparisons, pausedMs };
      }
      throw new SwitchOverError({
        reason: `they still differ after ${maxComparisons} comparisons: see divergence()`,
      });
    });
  }

  async resync(signal: AbortSignal | undefined): Promise<ResyncReport> {
    return this.#alone(async () => {
      const { differing } = await this.#bringOverDifferences(signal);
      return { differing };
    });
  }

  /** One comparison forgets what was missed before it: a second one must not. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#comparing) throw new SwitchOverError({ reason: "the stores are compared already" });
    this.#comparing = true;
    try {
      return await work();
    } finally {
      this.#comparing = false;
    }
  }

  #createFollower(): Follower {
    return new Follower(this.#primary, this.#secondary, {
      ...this.#options,
      onDivergence: () => this.#tellDivergence(),
    });
  }

  /** What a listener throws is its own: it is told in the middle of somebody's write. */
  #tellDivergence(): void {
    try {
      this.#options.onDivergence?.(this.divergence());
    } catch {
      // It has no caller here who could do anything about it.
    }
  }

  /** The operations of whichever store answers when they are called. */
  #guardOperations(): StoreOperations {
    const guarded = Object.keys(this.#followed).map((name) => [
      name,
      async (...args: unknown[]) => {
        // Inside its own transaction a call would wait for a switch-over that waits for the transaction.
        refuseInsideTransaction(this);
        return this.#gate.pass(async () => {
          const operation = this.#followed[name as keyof StoreOperations];
          return Reflect.apply(operation, undefined, args) as Promise<unknown>;
        });
      },
    ]);
    const operations = Object.fromEntries(guarded) as StoreOperations;
    const { transaction } = operations;
    return {
      ...operations,
      transaction: (work, options) =>
        transaction((tx) => withOpenTransaction(this, () => work(tx)), options),
    };
  }

  /** Compares all runs, and brings over those that differ. Returns how many, and the ids of a few. */
  async #bringOverDifferences(signal: AbortSignal | undefined) {
    this.#follower.forget();
    const some: string[] = [];
    let differing = 0;
    const unreadable = { first: [] as CorruptRowError[], second: [] as CorruptRowError[] };
    const bringOver = async (runId: string) => {
      if (differing++ < fewRuns) some.push(runId);
      this.#follower.touch(runId);
      await this.#follower.drainTo(Math.floor(this.#options.maxPendingRuns / 2), signal);
    };
    for await (const difference of compareRuns(
      this.#primary,
      this.#secondary,
      { signal },
      unreadable,
    )) {
      if (difference !== null) await bringOver(difference.runId);
    }
    for (const { key } of unreadable.second) await bringOver(key["run_id"] ?? "");
    if (unreadable.first.length > 0) throw new UnreadableRunsError({ corrupt: unreadable.first });
    await this.#follower.drain(signal);
    return { differing, some };
  }

  #followsAll(): boolean {
    return this.#follower.failedRuns.size === 0 && this.#follower.missedChanges === 0;
  }

  /** Switches if all is well. Returns for how long calls waited, or null when the stores still differ. */
  async #switchWhilePaused(
    differing: readonly string[],
    { maxPauseMs, recordSwitch, signal }: ParsedSwitchOverOptions,
  ): Promise<number | null> {
    const begun = performance.now();
    try {
      if (!(await this.#settle(differing, maxPauseMs, signal))) return null;
      await recordSwitch?.();
      [this.#primary, this.#secondary] = [this.#secondary, this.#primary];
      this.#follower = this.#createFollower();
      this.#followed = followOperations(this.#primary, this.#follower);
      return performance.now() - begun;
    } finally {
      this.#gate.open();
    }
  }

  /** Lets no call in any more, and says whether both stores hold the same then. */
  async #settle(
    differing: readonly string[],
    maxPauseMs: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const pause = AbortSignal.timeout(maxPauseMs);
    const limit = signal === undefined ? pause : AbortSignal.any([pause, signal]);
    try {
      await untilAborted(limit, this.#gate.close());
      await this.#follower.drain(limit);
      return this.#followsAll() && !(await this.#differ(differing, limit));
    } catch (error) {
      if (!pause.aborted) throw error;
      throw new SwitchOverError(
        { reason: `it would have kept calls waiting for more than ${maxPauseMs} ms` },
        { cause: error },
      );
    }
  }

  async #differ(runIds: readonly string[], signal: AbortSignal): Promise<boolean> {
    for (let start = 0; start < runIds.length; start += 100) {
      const some = runIds.slice(start, start + 100);
      const [ours, theirs] = await Promise.all(
        [this.#primary, this.#secondary].map((store) => bundlesById(store, some, { signal })),
      );
      for (const runId of some) {
        const [a, b] = [ours?.get(runId) ?? null, theirs?.get(runId) ?? null];
        if ((a !== null || b !== null) && differenceOf(runId, a, b) !== null) return true;
      }
    }
    return false;
  }
}
