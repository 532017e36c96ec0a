import { Mutex } from "../../async/mutex.ts";
import {
  ConstraintError,
  InvalidValueError,
  LeaseLostError,
  RunNotFoundError,
  RunTransitionError,
} from "../../errors.ts";
import type { HostTransactions } from "../../store/transactions.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { isTransient, retryWhileBusy } from "../store-retry.ts";
import { writeEvent, type RunEvent } from "./run-events.ts";
import type { RunScope } from "./run-scope.ts";

/** Stores the events of one run in order. Each is an atomic batch, which fails if the worker no longer holds the run. */
export class RunWriter {
  readonly #scope: RunScope;
  readonly #mutex = new Mutex();

  constructor(scope: RunScope) {
    this.#scope = scope;
  }

  /** Runs `work` after earlier work has ended, so that it sees the stored state. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(() => {
      this.#scope.signal.throwIfAborted();
      return work();
    });
  }

  /** Resolves when no work is running. */
  settled(): Promise<void> {
    return this.#mutex.run(() => {});
  }

  /** Commits an event after earlier work has ended. Fails like `commit`. */
  store(event: RunEvent): Promise<void> {
    return this.exclusive(() => this.commit(event));
  }

  /** @throws {InvalidValueError | ConstraintError} if the store refuses the event. Any other failure stops the run. */
  async commit(event: RunEvent): Promise<void> {
    const begunAt = performance.now();
    await this.#persist(() => this.#write(this.#scope.store, event));
    this.#scope.observer.committed(performance.now() - begunAt);
  }

  /**
   * Runs `work` in a host transaction and commits it together with the event that it returns.
   *
   * @throws the error of `work`. Nothing is committed then.
   * @throws {InvalidValueError | ConstraintError} if the store refuses the event. Any other failure stops the run.
   */
  async commitWithin<Event extends RunEvent>(
    host: HostTransactions,
    work: (transaction: unknown, tx: WorkflowStore) => Promise<Event>,
  ): Promise<Event> {
    // If the store lost the transaction during the work, it throws a different error. The step has not failed then.
    const failures = new Set<unknown>();
    const write = () =>
      host.hostTransaction(async (transaction, tx) => {
        const event = await work(transaction, tx).catch((error: unknown) => {
          failures.add(error);
          throw error;
        });
        await this.#write(tx, event);
        return event;
      });
    return this.#persist(write, failures);
  }

  #write(store: WorkflowStore, event: RunEvent): Promise<void> {
    return store.batch((write) => writeEvent(write, this.#scope, event));
  }

  /** `failures` are errors of the step. */
  async #persist<T>(write: () => Promise<T>, failures?: ReadonlySet<unknown>): Promise<T> {
    const { signal, leaseMs, lose } = this.#scope;
    const isFailure = (error: unknown): boolean => failures?.has(error) === true;
    const isRetried = (error: unknown): boolean => isTransient(error) && !isFailure(error);
    try {
      return await retryWhileBusy(write, leaseMs, signal, isRetried);
    } catch (error) {
      if (isRefusal(error) || isFailure(error) || signal.aborted) throw error;
      if (isLoss(error)) lose(error);
      signal.abort(error);
      throw error;
    }
  }
}

/** True if the store, or a constraint of the app, does not accept a row. */
export function isRefusal(error: unknown): error is InvalidValueError | ConstraintError {
  return error instanceof InvalidValueError || error instanceof ConstraintError;
}

/** True if the error means that the worker does not hold the run. */
export function isLoss(error: unknown): error is Error {
  return (
    error instanceof LeaseLostError ||
    error instanceof RunNotFoundError ||
    error instanceof RunTransitionError
  );
}
