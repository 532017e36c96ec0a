import * as z from "zod";
import { parseArgument } from "../arguments.ts";
import { refuseInsideTransaction, withOpenTransaction } from "../async-context.ts";
import {
  SwitchOverError,
  UnreadableRunsError,
  type CorruptRowError,
  type GorkflowError,
} from "../errors.ts";
import { untilAborted } from "../model/abort.ts";
import { callbackSchema, operationOptionsSchema, operationShape } from "../model/arguments.ts";
import type { OperationOptions } from "../store/options.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { OperationsStore, type StoreOperations } from "../stores/operations-store.ts";
import { bundlesById } from "./bundle-pages.ts";
import { compareRuns, differenceOf } from "./compare-stores.ts";
import { followOperations } from "./followed-operations.ts";
import { Follower } from "./follower.ts";
import { Gate } from "./gate.ts";

export interface MirrorOptions {
  /** Changed runs that wait for the secondary; beyond, changes are missed, and counted. 10,000 when absent. */
  readonly maxPendingRuns?: number | undefined;
  /** Time before a failed attempt is made again, doubled up to 5 s; 100 ms when absent. */
  readonly retryDelayMs?: number | undefined;
  /** Told when the secondary begins to fail, when it refuses a run, and when a change is missed. */
  readonly onDivergence?: ((report: DivergenceReport) => void) | undefined;
}

/** How far the store that follows is from the one that answers, as far as this mirror knows. */
export interface DivergenceReport {
  /** Changes that are still to be brought over. */
  readonly pendingChanges: number;
  /** Runs that were not brought over, and will not be until they change again: each with its error. */
  readonly failedRuns: readonly { readonly runId: string; readonly error: GorkflowError }[];
  /** Changes of runs that nobody knows any more: the queue was full, or the answer to a write was lost. */
  readonly missedChanges: number;
  /** What keeps the follower from going on; null when its last attempt went well. */
  readonly lastError: unknown;
}

export interface SwitchOverOptions extends OperationOptions {
  /** The longest that calls may wait while the last differences are settled; 5000 ms when absent. */
  readonly maxPauseMs?: number | undefined;
  /**
   * Called when both stores hold the same and calls wait, before the secondary answers the first of them: the place
   * to record, where a restart finds it, which store answers from now on. A process that was killed after a switch
   * and begins with the store of before would lose what was written since. When it rejects, nothing is switched, and
   * its error is that of `switchOver`. `maxPauseMs` does not end it.
   */
  readonly recordSwitch?: (() => void | Promise<void>) | undefined;
}

export interface SwitchOverReport {
  /** How often the stores were compared. */
  readonly comparisons: number;
  /** How long calls waited. */
  readonly pausedMs: number;
}

const mirrorOptionsSchema = z.strictObject({
  maxPendingRuns: z.int().min(1).default(10_000),
  retryDelayMs: z.int().min(1).default(100),
  onDivergence: callbackSchema<DivergenceReport>(),
});
const switchOverOptionsSchema = z.strictObject({
  maxPauseMs: z.int().min(1).default(5000),
  recordSwitch: z
    .custom<NonNullable<SwitchOverOptions["recordSwitch"]>>((value) => typeof value === "function")
    .optional(),
  ...operationShape,
});

/** Differing runs that are few enough to be looked at once more while calls wait. */
const fewRuns = 1000;
const maxComparisons = 10;

/**
 * A store that answers from one and keeps another up to date: for a move without downtime.
 *
 * The primary answers everything. What a write has changed is brought over to the secondary afterwards, in the
 * order of the changes; no call waits for that or fails by it, however slow the secondary is, or gone. What could
 * not be brought over is in `divergence()`. `switchOver` makes the secondary the one that answers.
 *
 * It knows the changes that are made through it: all writers of the primary must use it, and so must be in one
 * process. It takes no part in an app's own transactions (`HostTransactions`).
 */
export class MirroredStore extends OperationsStore {
  readonly #state: MirrorState;

  constructor(primary: WorkflowStore, secondary: WorkflowStore, options: MirrorOptions = {}) {
    const state = new MirrorState(
      primary,
      secondary,
      parseArgument(mirrorOptionsSchema, options, "options"),
    );
    super(state.operations);
    this.#state = state;
  }

  /** The store that answers now. */
  get answering(): WorkflowStore {
    return this.#state.answering;
  }

  divergence(): DivergenceReport {
    return this.#state.divergence();
  }

  /**
   * Resolves when everything that was changed until now has been brought over, or has failed for itself.
   *
   * @throws the error of an attempt that fails meanwhile; it will be made again.
   */
  async drain(options: OperationOptions = {}): Promise<void> {
    const { signal } = parseArgument(operationOptionsSchema, options, "options");
    await this.#state.drain(signal);
  }

  /**
   * Makes the secondary the store that answers, when it holds what the primary does; the primary then follows, so
   * that switching back is possible.
   *
   * Compares both stores, run by run, while calls go on; brings over what differs, and begins again until there is
   * little. For the rest calls wait, none fails: those under way end, the last changes are brought over, and what
   * had differed is compared once more.
   *
   * @throws {SwitchOverError} when it did not come to that: the primary goes on answering.
   * @throws {UnreadableRunsError} when the primary has runs that cannot be read, and so cannot be moved.
   * @throws what the secondary throws.
   */
  async switchOver(options: SwitchOverOptions = {}): Promise<SwitchOverReport> {
    return this.#state.switchOver(parseArgument(switchOverOptionsSchema, options, "options"));
  }

  /** Brings over what can still be, once, and closes both stores. */
  override async close(): Promise<void> {
    await this.#state.close();
  }
}

class MirrorState {
  readonly operations: StoreOperations;
  readonly #options: z.output<typeof mirrorOptionsSchema>;
  readonly #gate = new Gate();
  #primary: WorkflowStore;
  #secondary: WorkflowStore;
  #follower: Follower;
  #followed: StoreOperations;
  #switching = false;

  constructor(
    primary: WorkflowStore,
    secondary: WorkflowStore,
    options: z.output<typeof mirrorOptionsSchema>,
  ) {
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

  async switchOver(options: z.output<typeof switchOverOptionsSchema>): Promise<SwitchOverReport> {
    const { signal } = options;
    if (this.#switching) throw new SwitchOverError({ reason: "a switch-over is under way" });
    this.#switching = true;
    try {
      for (let comparisons = 1; comparisons <= maxComparisons; comparisons++) {
        const differing = await this.#bringOverDifferences(signal);
        if (differing.length > fewRuns || !this.#followsAll()) continue;
        const pausedMs = await this.#switchWhilePaused(differing, options);
        if (pausedMs !== null) return { comparisons, pausedMs };
      }
      throw new SwitchOverError({
        reason: `they still differ after ${maxComparisons} comparisons: see divergence()`,
      });
    } finally {
      this.#switching = false;
    }
  }

  #createFollower(): Follower {
    return new Follower(this.#primary, this.#secondary, {
      ...this.#options,
      onDivergence: () => this.#options.onDivergence?.(this.divergence()),
    });
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

  /** Compares all runs, and brings over those that differ. Returns their ids, or more than a few. */
  async #bringOverDifferences(signal: AbortSignal | undefined): Promise<string[]> {
    this.#follower.forget();
    const differing: string[] = [];
    const unreadable = { first: [] as CorruptRowError[], second: [] as CorruptRowError[] };
    const bringOver = async (runId: string) => {
      if (differing.length <= fewRuns) differing.push(runId);
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
    return differing;
  }

  #followsAll(): boolean {
    return this.#follower.failedRuns.size === 0 && this.#follower.missedChanges === 0;
  }

  /** Switches if all is well. Returns for how long calls waited, or null when the stores still differ. */
  async #switchWhilePaused(
    differing: readonly string[],
    { maxPauseMs, recordSwitch, signal }: z.output<typeof switchOverOptionsSchema>,
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
