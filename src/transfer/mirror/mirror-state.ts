import { refuseInsideTransaction, withOpenTransaction } from "../../async/flow.ts";
import { SwitchOverError, UnreadableRunsError, type CorruptRowError } from "../../errors.ts";
import { untilAborted } from "../../async/abort.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import type { StoreOperations } from "../../stores/operations-store.ts";
import { bundlesById } from "../bundle-pages.ts";
import { differenceOf } from "../compare-bundles.ts";
import { compareRuns } from "../compare-stores.ts";
import { followOperations, signalOf } from "./followed-operations.ts";
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

  /** Calls under way end first; later ones find the stores closed. */
  async close(): Promise<void> {
    refuseInsideTransaction(this);
    await this.#gate.close();
    try {
      await this.#follower.finish();
      await Promise.all([this.#primary.close(), this.#secondary.close()]);
    } finally {
      this.#gate.open();
    }
  }

  async switchOver(options: ParsedSwitchOverOptions): Promise<SwitchOverReport> {
    refuseInsideTransaction(this);
    const { signal } = options;
    return this.#alone(async () => {
      for (let comparisons = 1; comparisons <= maxComparisons; comparisons++) {
        const { differing, some } = await this.#copyDifferences(signal);
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
      const { differing } = await this.#copyDifferences(signal);
      return { differing };
    });
  }

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

  /** The operations of the store that answers when they are called. */
  #guardOperations(): StoreOperations {
    const guarded = Object.keys(this.#followed).map((name) => [
      name,
      async (...args: unknown[]) => {
        // Inside its own transaction a call would wait for a switch-over that waits for the transaction.
        refuseInsideTransaction(this);
        const signal = signalOf(args);
        const call = async () => {
          signal?.throwIfAborted();
          const operation = this.#followed[name as keyof StoreOperations];
          return Reflect.apply(operation, undefined, args) as Promise<unknown>;
        };
        return untilAborted(signal, this.#gate.pass(call));
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

  /** Compares all runs, and copies those that differ. Returns how many, and the ids of a few. */
  async #copyDifferences(signal: AbortSignal | undefined) {
    const known = this.#follower.known();
    const some: string[] = [];
    let differing = 0;
    const unreadable = { first: [] as CorruptRowError[], second: [] as CorruptRowError[] };
    const copy = async (runId: string) => {
      if (differing++ < fewRuns) some.push(runId);
      this.#follower.touch(runId);
      await this.#follower.drainTo(Math.floor(this.#options.maxPendingRuns / 2), signal);
    };
    const compared = compareRuns(this.#primary, this.#secondary, { signal }, unreadable);
    for await (const difference of compared) {
      if (difference !== null) await copy(difference.runId);
    }
    for (const { key } of unreadable.second) await copy(key["run_id"] ?? "");
    await this.#follower.drain(signal);
    if (unreadable.first.length > 0) throw new UnreadableRunsError({ corrupt: unreadable.first });
    this.#follower.settle(known);
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
      if (recordSwitch !== undefined) {
        const reason = "the store was used by `recordSwitch`, which it waits for";
        const record = async () => recordSwitch({ signal });
        await untilAborted(signal, withOpenTransaction(this, record, reason));
      }
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
      const [ours, theirs] = await Promise.all([
        bundlesById(this.#primary, some, { signal }),
        bundlesById(this.#secondary, some, { signal }),
      ]);
      for (const runId of some) {
        const [a, b] = [ours.bundles.get(runId) ?? null, theirs.bundles.get(runId) ?? null];
        if ((a !== null || b !== null) && differenceOf(runId, a, b) !== null) return true;
      }
    }
    return false;
  }
}
