import {
  InvalidValueError,
  LeaseLostError,
  RunNotFoundError,
  RunTransitionError,
} from "../../errors.ts";
import type { BatchWriter } from "../../store/batches.ts";
import type { Clock } from "../../store/clock.ts";
import type { HostTransactions } from "../../store/transactions.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import type { Stopper } from "../../async/abort.ts";
import { Mutex } from "../../async/mutex.ts";
import { retryWhileBusy } from "../pauses.ts";
import { writeEvent, type Author, type RunEvent } from "./run-writes.ts";

export interface RunJournalOptions {
  readonly store: WorkflowStore;
  readonly author: Omit<Author, "now">;
  readonly clock: Clock;
  /** For how long a store that is busy or away is asked again. */
  readonly patienceMs: number;
  /** Nothing is written any more once it aborts; aborted with what the store failed with. */
  readonly stopper: Stopper;
  /** Stops the run, as the worker does not hold it any more. */
  readonly lose: (error: Error) => void;
}

/**
 * Stores the events of one run, one after the other, each as an atomic batch that takes place only while the worker
 * holds the run.
 */
export class RunJournal {
  readonly #options: RunJournalOptions;
  readonly #mutex = new Mutex();

  constructor(options: RunJournalOptions) {
    this.#options = options;
  }

  /** Runs `work` when all that was asked for before is done: what it decides, it decides on what is stored. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(() => {
      this.#options.stopper.throwIfAborted();
      return work();
    });
  }

  /** Resolves when nothing that was asked for is under way any more. */
  async settled(): Promise<void> {
    await this.#mutex.run(() => {});
  }

  /** @throws {InvalidValueError} when a value cannot be stored; every other failure stops the run. */
  commit(event: RunEvent): Promise<void> {
    const { store } = this.#options;
    return this.#persist(() => store.batch((write) => this.#write(write, event)));
  }

  /**
   * Commits what `work` does in the host's transaction together with the event that it returns.
   *
   * @throws what `work` throws; nothing is committed then. {InvalidValueError}
   */
  async commitWith<Event extends RunEvent>(
    host: HostTransactions,
    work: (transaction: unknown, tx: WorkflowStore) => Promise<Event>,
  ): Promise<Event> {
    const done = await this.#persist(async () => {
      const thrown: unknown[] = [];
      try {
        return await host.hostTransaction(async (transaction, tx) => {
          const event = await work(transaction, tx).catch((error: unknown) => {
            thrown.push(error);
            throw error;
          });
          await tx.batch((write) => this.#write(write, event));
          return { event };
        });
      } catch (error) {
        // The store undid it all because the work failed: that is for the step to answer for. When it lost the
        // transaction under the work, it says so instead.
        if (thrown[0] !== error || thrown.length === 0) throw error;
        return { error };
      }
    });
    if ("error" in done) throw done.error;
    return done.event;
  }

  #write(write: BatchWriter, event: RunEvent): void {
    const { author, clock } = this.#options;
    writeEvent(write, { ...author, now: clock() }, event);
  }

  async #persist<T>(write: () => Promise<T>): Promise<T> {
    const { stopper, patienceMs, lose } = this.#options;
    try {
      return await retryWhileBusy(write, { patienceMs, signal: stopper });
    } catch (error) {
      if (error instanceof InvalidValueError || stopper.aborted) throw error;
      if (isLoss(error)) lose(error);
      stopper.abort(error);
      throw error;
    }
  }
}

/** True when the run is not, or not any more, the worker's. */
export function isLoss(error: unknown): error is Error {
  return (
    error instanceof LeaseLostError ||
    error instanceof RunNotFoundError ||
    error instanceof RunTransitionError
  );
}
