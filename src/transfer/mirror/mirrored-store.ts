import * as z from "zod/mini";
import { refuseInsideTransaction, withOpenTransaction } from "../../async/flow.ts";
import { parseArgument } from "../../arguments.ts";
import { SwitchOverError, UnreadableRunsError } from "../../errors.ts";
import { untilAborted } from "../../async/abort.ts";
import { isBytes } from "../../json.ts";
import {
  callbackSchema,
  checkStore,
  operationOptionsSchema,
  operationShape,
} from "../../model/arguments.ts";
import { positiveTimerMsSchema } from "../../model/times.ts";
import type { BatchWriter } from "../../store/batches.ts";
import type { OperationOptions } from "../../store/options.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { operationNames, type StoreOperations } from "../../store/operations.ts";
import { createBulkChanges } from "../../stores/bulk-changes.ts";
import { OperationsStore } from "../../stores/operations-store.ts";
import { StoreComparison } from "../store-comparison.ts";
import { followOperations, pauses, signalOf } from "./followed-operations.ts";
import {
  Follower,
  mirrorOptionsSchema,
  type DivergenceReport,
  type MirrorOptions,
} from "./follower.ts";

export interface SwitchOverOptions extends OperationOptions {
  /** The longest time in milliseconds that calls may wait while the last differences are copied. Defaults to 5000. */
  readonly maxPauseMs?: number | undefined;
  /**
   * Called when both stores hold the same, before the secondary answers any call: the place to record which store a
   * restarted process uses as its primary. A process that restarts with the old primary loses all later writes.
   * If the callback rejects, nothing is switched and `switchOver` rejects with its error. `maxPauseMs` does not end
   * it. The signal does, and then the primary stays: a record that is written later is wrong. Calls of the mirrored
   * store inside the callback are refused.
   */
  readonly recordSwitch?: ((options: OperationOptions) => void | Promise<void>) | undefined;
}

export interface SwitchOverReport {
  /** How often the stores were compared. */
  readonly comparisons: number;
  /** How long calls waited, in milliseconds. */
  readonly pausedMs: number;
}

export interface ResyncReport {
  /** Runs that differed and were copied. */
  readonly differing: number;
}

const switchOverOptionsSchema = z.strictObject({
  maxPauseMs: z._default(positiveTimerMsSchema, 5000),
  recordSwitch: callbackSchema<OperationOptions>(),
  ...operationShape,
});

/** The most differing runs that are compared again while calls wait. */
const fewRuns = 1000;
const maxComparisons = 10;

/**
 * A store that answers from a primary and keeps a secondary up to date, for a move without downtime.
 *
 * The primary answers every call. The runs that a write has changed, and pauses, are copied to the secondary afterwards,
 * in the order of the changes. No call waits for that or fails because of it. `divergence()` tells what could not be copied.
 * `switchOver` makes the secondary the store that answers.
 *
 * The mirror knows only the changes that are made through it: all writers of the primary must use it, and so must be
 * in one process. It does not take part in an app's own transactions (`HostTransactions`).
 */
export class MirroredStore extends OperationsStore {
  readonly #options: z.output<typeof mirrorOptionsSchema>;
  #primary: WorkflowStore;
  #secondary: WorkflowStore;
  #follower: Follower;
  #followed: StoreOperations;
  /** Calls that have not ended. */
  readonly #calls = new Set<Promise<unknown>>();
  /** Resolves when calls may continue; null if none has to wait. */
  #paused: Promise<void> | null = null;
  #resume: () => void = () => undefined;
  #isClosed = false;

  constructor(primary: WorkflowStore, secondary: WorkflowStore, options: MirrorOptions = {}) {
    const operations = {} as StoreOperations;
    super(operations);
    checkStore(primary, "primary");
    checkStore(secondary, "secondary");
    this.#options = parseArgument(mirrorOptionsSchema, options, "options");
    this.#primary = primary;
    this.#secondary = secondary;
    this.#follower = new Follower(primary, secondary, this.#options);
    this.#followed = followOperations(primary, this.#follower.note);
    Object.assign(operations, this.#createOperations());
  }

  /** The store that answers now. */
  get answering(): WorkflowStore {
    return this.#primary;
  }

  divergence(): DivergenceReport {
    return this.#follower.divergence();
  }

  /**
   * Resolves when every change made until now has been copied, or is in `failedRuns`.
   *
   * @throws the error of an attempt that fails before that; the mirror repeats it.
   */
  async drain(options: OperationOptions = {}): Promise<void> {
    const { signal } = parseArgument(operationOptionsSchema, options, "options");
    await this.#follower.drain(signal);
  }

  /**
   * Compares both stores run by run and copies what differs, and the pauses. Runs that the primary does not have are
   * deleted from the secondary. Calls continue in the meantime. Use it after a restart, because the changes that a killed process had
   * not copied are not known any more, and when `divergence()` reports missed changes or failed runs.
   *
   * @throws {SwitchOverError} if the stores are already being compared.
   * @throws {UnreadableRunsError} if the primary has runs that cannot be read; all others were copied.
   * @throws {InvalidArgumentError} if both stores are the same database.
   * @throws the secondary's error.
   */
  async resync(options: OperationOptions = {}): Promise<ResyncReport> {
    const { signal } = parseArgument(operationOptionsSchema, options, "options");
    const { differing } = await this.#alone(() => this.#copyDifferences(signal));
    return { differing };
  }

  /**
   * Makes the secondary the store that answers, once it holds what the primary does. The old primary then follows, so
   * that switching back is possible.
   *
   * Compares both stores and copies what differs while calls continue, and repeats this until little is left. Then
   * calls wait, and none fails: calls under way end, the last changes are copied, and the runs that had differed are
   * compared again.
   *
   * @throws {SwitchOverError} if it cannot switch; the primary continues to answer.
   * @throws {UnreadableRunsError} if the primary has runs that cannot be read, and so cannot be moved.
   * @throws the secondary's error.
   */
  async switchOver(options: SwitchOverOptions = {}): Promise<SwitchOverReport> {
    const parsed = parseArgument(switchOverOptionsSchema, options, "options");
    refuseInsideTransaction(this);
    return this.#alone(async () => {
      for (let comparisons = 1; comparisons <= maxComparisons; comparisons++) {
        const { differing, runIds } = await this.#copyDifferences(parsed.signal);
        if (differing > fewRuns || !this.#followsAll()) continue;
        const pausedMs = await this.#switchWhilePaused(runIds, parsed);
        if (pausedMs !== null) return { comparisons, pausedMs };
      }
      throw new SwitchOverError({
        reason: `they still differ after ${maxComparisons} comparisons: see divergence()`,
      });
    });
  }

  /** Waits for calls under way, tries once to copy what is pending, and closes both stores. */
  override async close(): Promise<void> {
    refuseInsideTransaction(this);
    await this.#pauseCalls();
    this.#isClosed = true;
    try {
      await this.#follower.finish();
      await Promise.all([this.#primary.close(), this.#secondary.close()]);
    } finally {
      this.#resumeCalls();
    }
  }

  #createOperations(): StoreOperations {
    const operations = Object.fromEntries(
      operationNames.map((name) => [
        name,
        async (...args: unknown[]) => {
          // Inside its own transaction, a call would wait for a switch-over that waits for the transaction.
          refuseInsideTransaction(this);
          return untilAborted(signalOf(args), this.#callWhenOpen(name, args));
        },
      ]),
    ) as unknown as StoreOperations;
    const { transaction } = operations;
    operations.transaction = (work, options) =>
      transaction((tx) => withOpenTransaction(this, () => work(tx)), options);
    // Made of single calls, so that a switch-over need not wait for the end of a long change.
    return { ...operations, ...createBulkChanges(operations) };
  }

  /** Calls the operation of the store that answers when no switch-over makes calls wait. */
  async #callWhenOpen(name: keyof StoreOperations, given: readonly unknown[]): Promise<unknown> {
    const args = this.#paused === null ? given : copyArguments(name, given);
    while (this.#paused !== null) await this.#paused;
    signalOf(args)?.throwIfAborted();
    const call = Reflect.apply(this.#followed[name], undefined, args) as Promise<unknown>;
    this.#calls.add(call);
    try {
      return await call;
    } finally {
      this.#calls.delete(call);
    }
  }

  /** Makes later calls wait. Resolves when those under way have ended. */
  async #pauseCalls(): Promise<void> {
    this.#paused ??= new Promise((resolve) => {
      this.#resume = resolve;
    });
    await Promise.allSettled(this.#calls);
  }

  #resumeCalls(): void {
    this.#paused = null;
    this.#resume();
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const follower = this.#follower;
    if (follower.isComparing) {
      throw new SwitchOverError({ reason: "the stores are already being compared" });
    }
    follower.isComparing = true;
    try {
      return await work();
    } finally {
      follower.isComparing = false;
    }
  }

  /** Compares all runs and copies those that differ. Returns their number, and the ids of the first ones. */
  async #copyDifferences(signal: AbortSignal | undefined) {
    const forget = this.#follower.beginComparison();
    this.#follower.touch(pauses);
    const comparison = new StoreComparison(this.#primary, this.#secondary, { signal });
    const runIds: string[] = [];
    let differing = 0;
    for await (const page of comparison.runs()) {
      for (const { runId, difference } of page) {
        if (difference === null) continue;
        if (differing++ < fewRuns) runIds.push(runId);
        this.#follower.touch(runId);
        const { pendingChanges } = this.#follower;
        if (pendingChanges > this.#options.maxPendingRuns / 2) await this.#follower.drain(signal);
      }
    }
    await this.#follower.drain(signal);
    const corrupt = [...comparison.unreadable.first.values()];
    if (corrupt.length > 0) throw new UnreadableRunsError({ corrupt });
    forget();
    return { differing, runIds };
  }

  #followsAll(): boolean {
    const { failedRuns, missedChanges } = this.divergence();
    return failedRuns.length + missedChanges === 0;
  }

  /** Switches if both stores hold the same. Returns how long calls waited, or null if the stores differ. */
  async #switchWhilePaused(
    differing: readonly string[],
    { maxPauseMs, recordSwitch, signal }: z.output<typeof switchOverOptionsSchema>,
  ): Promise<number | null> {
    const begun = performance.now();
    try {
      if (!(await this.#settle(differing, maxPauseMs, signal))) return null;
      if (recordSwitch !== undefined) {
        const reason = "the store was used by `recordSwitch`, which it waits for";
        const record = async () => recordSwitch({ signal });
        await untilAborted(signal, withOpenTransaction(this, record, reason));
      }
      const { lostAnswers } = this.#follower;
      [this.#primary, this.#secondary] = [this.#secondary, this.#primary];
      this.#follower.retire();
      // A write whose answer was lost may still take effect in either store.
      this.#follower = new Follower(this.#primary, this.#secondary, this.#options, lostAnswers);
      if (this.#isClosed) this.#follower.retire();
      this.#followed = followOperations(this.#primary, this.#follower.note);
      return performance.now() - begun;
    } finally {
      this.#resumeCalls();
    }
  }

  /** Makes calls wait, and returns whether both stores then hold the same. */
  async #settle(
    differing: readonly string[],
    maxPauseMs: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const timeout = AbortSignal.timeout(maxPauseMs);
    const limit = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
    try {
      await untilAborted(limit, this.#pauseCalls());
      // The answer to an earlier change of a pause may have been lost.
      this.#follower.touch(pauses);
      await this.#follower.drain(limit);
      if (!this.#followsAll()) return false;
      const comparison = new StoreComparison(this.#primary, this.#secondary, { signal: limit });
      for await (const page of comparison.named([...differing, ...this.#follower.unsettled])) {
        if (page.some(({ difference }) => difference !== null)) return false;
      }
      return comparison.unreadable.first.size === 0;
    } catch (error) {
      if (!timeout.aborted) throw error;
      throw new SwitchOverError(
        { reason: `it would have kept calls waiting for more than ${maxPauseMs} ms` },
        { cause: error },
      );
    }
  }
}

/** The arguments of a call that waits. The caller may change its own, and what `collect` of a batch reads. */
function copyArguments(name: keyof StoreOperations, args: readonly unknown[]): readonly unknown[] {
  const copies = args.map((argument) => copyOf(argument));
  const [collect] = args;
  if (name !== "batch" || typeof collect !== "function") return copies;
  const writes: [method: keyof BatchWriter, args: unknown[]][] = [];
  const note =
    (_: unknown, method: keyof BatchWriter) =>
    (...given: readonly unknown[]) =>
      void writes.push([method, given.map((argument) => copyOf(argument))]);
  const returned: unknown = Reflect.apply(collect, undefined, [new Proxy({}, { get: note })]);
  const replay = (write: BatchWriter): unknown => {
    for (const [method, noted] of writes) Reflect.apply(write[method], write, noted);
    return returned;
  };
  return [replay, ...copies.slice(1)];
}

/** Copies plain objects, arrays, dates and bytes at any depth. Other values are returned unchanged, and the store rejects them. */
function copyOf(value: unknown, copies = new Map<object, object>()): unknown {
  if (typeof value !== "object" || value === null) return value;
  const known = copies.get(value);
  if (known !== undefined) return known;
  if (value instanceof Date) return new Date(value);
  if (isBytes(value)) return value.slice();
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === Object.prototype || prototype === null;
  if (!isPlain && !Array.isArray(value)) return value;
  const copy: object = Array.isArray(value) ? [] : Object.create(prototype as object | null);
  copies.set(value, copy);
  const descriptors: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(value);
  for (const key of Reflect.ownKeys(descriptors)) {
    const descriptor = descriptors[key as string];
    if (descriptor?.value !== undefined) descriptor.value = copyOf(descriptor.value, copies);
  }
  return Object.defineProperties(copy, descriptors);
}
