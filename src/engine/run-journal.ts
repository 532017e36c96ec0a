import {
  GorkflowError,
  InvalidValueError,
  LeaseLostError,
  RunCancelledError,
  RunTransitionError,
} from "../errors.ts";
import type { HostTransactions } from "../store/transactions.ts";
import type { BatchWriter } from "../store/batches.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { Backoff, pause } from "./pauses.ts";
import type { RunWrites, Transition } from "./run-ledger.ts";

export interface RunJournalOptions {
  readonly store: WorkflowStore;
  readonly runId: string;
  readonly workerId: string;
  /** For how long a store that is busy or away is asked again. */
  readonly patienceMs: number;
  /** Aborts when nothing may be written any more. */
  readonly signal: AbortSignal;
  /** Called with the reason when the run cannot go on here. */
  readonly stop: (reason: unknown) => void;
}

/**
 * The writes of one run, one after the other, each an atomic batch that takes place only while the worker
 * holds the run.
 */
export class RunJournal {
  readonly #options: RunJournalOptions;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: RunJournalOptions) {
    this.#options = options;
  }

  /** Runs `work` when all that was asked for before is done: what it decides, it decides on what is stored. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(() => {
      this.#options.signal.throwIfAborted();
      return work();
    });
    this.#tail = turn.catch(() => {});
    return turn;
  }

  /** Resolves when nothing that was asked for is under way any more. */
  async settled(): Promise<void> {
    await this.#tail;
  }

  /**
   * Commits the writes.
   *
   * @throws {InvalidValueError} when a value cannot be stored; every other failure stops the run.
   */
  commit(writes: RunWrites): Promise<void> {
    const { store } = this.#options;
    return this.#persist(() => store.batch((write) => this.#write(write, writes)));
  }

  /**
   * Commits what `work` does in the host's transaction together with the transition that it returns.
   *
   * @throws what `work` throws; nothing is committed then. {InvalidValueError}
   */
  async commitWith(
    host: HostTransactions,
    work: (transaction: unknown, tx: WorkflowStore) => Promise<Transition>,
  ): Promise<Transition> {
    const done = await this.#persist(async () => {
      const thrown: unknown[] = [];
      try {
        return await host.hostTransaction(async (transaction, tx) => {
          const transition = await work(transaction, tx).catch((error: unknown) => {
            thrown.push(error);
            throw error;
          });
          await tx.batch((write) => this.#write(write, transition.writes));
          return { transition };
        });
      } catch (error) {
        // The store undid it all because the work failed: that is for the step to answer for. When it lost the
        // transaction under the work, it says so instead.
        if (thrown[0] !== error || thrown.length === 0) throw error;
        return { error };
      }
    });
    if ("error" in done) throw done.error;
    return done.transition;
  }

  /** The change of the run comes first: it is the fence of all that follows. */
  #write(write: BatchWriter, { run, steps }: RunWrites): void {
    const { runId, workerId } = this.#options;
    write.updateRun(runId, run, { workerId });
    steps(write);
  }

  async #persist<T>(write: () => Promise<T>): Promise<T> {
    const { signal, stop, patienceMs } = this.#options;
    const backoff = new Backoff(10, 500);
    let waitedMs = 0;
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (error instanceof InvalidValueError) throw error;
        const ms = backoff.next();
        if (!isRetryable(error) || waitedMs + ms > patienceMs) {
          stop(this.#reasonToStop(error));
          throw error;
        }
        waitedMs += ms;
        await pause(ms, signal);
        signal.throwIfAborted();
      }
    }
  }

  #reasonToStop(error: unknown): unknown {
    if (!(error instanceof RunTransitionError)) return error;
    const { runId, workerId } = this.#options;
    return error.from === "CANCELLED"
      ? new RunCancelledError({ runId }, { cause: error })
      : new LeaseLostError({ runId, workerId }, { cause: error });
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof GorkflowError && error.retryable;
}
