import { refuseInsideTransaction, withOpenTransaction } from "../../async/flow.ts";
import { UnsupportedError } from "../../errors.ts";
import { untilAborted } from "../../async/abort.ts";
import { Mutex } from "../../async/mutex.ts";
import { parseOptions } from "../../model/options.ts";
import type { Clock } from "../../store/clock.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { OperationsStore } from "../operations-store.ts";
import { createAttemptOperations } from "./attempts.ts";
import { createBatchOperations } from "./batches.ts";
import { createBundleOperations } from "./bundles.ts";
import { createLeaseOperations } from "./leases.ts";
import { createMaintenanceOperations } from "./maintenance.ts";
import { createOutputOperations } from "./outputs.ts";
import { Overlay } from "./overlay.ts";
import { createRunOperations } from "./runs.ts";
import { createStateOperations } from "./state.ts";
import { createStepOperations } from "./steps.ts";
import type { StoreContext } from "./store-context.ts";
import type { Tables } from "./tables.ts";

/** Every operation of the contract on one set of tables: the committed ones, or an overlay over them. */
export class MemoryOperations extends OperationsStore {
  readonly #clock: Clock;
  readonly #tables: Tables;
  /** Refuses the operation when the store is closed. */
  readonly #checkOpen: () => void;
  readonly #mutex = new Mutex();
  /** Of a transaction's store. */
  #state: "open" | "in savepoint" | "ended" = "open";
  readonly #isTransaction: boolean;

  constructor(tables: Tables, clock: Clock, checkOpen: () => void, isTransaction = false) {
    const context: StoreContext = {
      clock,
      read: async (signal, operation) => {
        this.#checkUsable(signal);
        return operation(tables);
      },
      write: async (signal, operation) => {
        this.#checkUsable(signal);
        return untilAborted(
          signal,
          this.#mutex.run(() => {
            this.#checkTurn(signal);
            return operation(tables);
          }),
        );
      },
    };
    super({
      ...createRunOperations(context),
      ...createStepOperations(context),
      ...createAttemptOperations(context),
      ...createOutputOperations(context),
      ...createStateOperations(context),
      ...createLeaseOperations(context),
      ...createBatchOperations(context),
      ...createBundleOperations(context),
      ...createMaintenanceOperations(context),
      transaction: async (work, options) => {
        const { signal } = parseOptions(options);
        this.#checkUsable(signal);
        return untilAborted(
          signal,
          this.#mutex.run(() => this.#transact(work, signal)),
        );
      },
    });
    this.#tables = tables;
    this.#clock = clock;
    this.#checkOpen = checkOpen;
    this.#isTransaction = isTransaction;
  }

  async #transact<T>(
    work: (tx: WorkflowStore) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    this.#checkTurn(signal);
    const overlay = new Overlay(this.#tables);
    const tx = new MemoryOperations(overlay, this.#clock, () => this.#checkTurn(), true);
    if (this.#isTransaction) this.#state = "in savepoint";
    try {
      const result = await withOpenTransaction(this, () => work(tx));
      // The caller has been told that the call was aborted: nothing of it may be committed.
      this.#checkTurn(signal);
      overlay.commit();
      return result;
    } finally {
      tx.#state = "ended";
      if (this.#state === "in savepoint") this.#state = "open";
    }
  }

  #checkUsable(signal: AbortSignal | undefined): void {
    this.#checkTurn(signal);
    if (this.#state !== "open") {
      throw new UnsupportedError({
        feature: "transaction",
        reason: "a nested transaction is open: use it, or wait for its end",
      });
    }
    refuseInsideTransaction(this);
  }

  /** Passes while a call that has waited for its turn may still take effect. */
  #checkTurn(signal?: AbortSignal): void {
    this.#checkOpen();
    signal?.throwIfAborted();
    if (this.#state === "ended") {
      throw new UnsupportedError({
        feature: "transaction",
        reason: "the transaction has ended",
      });
    }
  }
}
