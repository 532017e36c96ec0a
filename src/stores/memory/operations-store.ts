import { refuseInsideTransaction, withOpenTransaction } from "../../async-context.ts";
import { UnsupportedError } from "../../errors.ts";
import { untilAborted } from "../../model/abort.ts";
import { parseOptions } from "../../model/options.ts";
import type { BatchStore } from "../../store/batches.ts";
import type { BundleStore } from "../../store/bundles.ts";
import type { Clock } from "../../store/clock.ts";
import type { LeaseStore } from "../../store/leases.ts";
import type { MaintenanceStore } from "../../store/maintenance.ts";
import type { OutputStore } from "../../store/outputs.ts";
import type { RunStore } from "../../store/runs.ts";
import type { StateStore } from "../../store/state.ts";
import type { StepStore } from "../../store/steps.ts";
import type { TransactionStore } from "../../store/transactions.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
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
import { WriteQueue } from "./write-queue.ts";

/** Every operation of the contract on one set of tables: the committed ones, or an overlay over them. */
export class OperationsStore implements WorkflowStore {
  readonly createRun: RunStore["createRun"];
  readonly getRun: RunStore["getRun"];
  readonly updateRun: RunStore["updateRun"];
  readonly reopenRun: RunStore["reopenRun"];
  readonly listRuns: RunStore["listRuns"];
  readonly countRuns: RunStore["countRuns"];
  readonly deleteRun: RunStore["deleteRun"];
  readonly createStepExecution: StepStore["createStepExecution"];
  readonly getStepExecution: StepStore["getStepExecution"];
  readonly updateStepExecution: StepStore["updateStepExecution"];
  readonly listStepExecutions: StepStore["listStepExecutions"];
  readonly saveStepOutput: OutputStore["saveStepOutput"];
  readonly loadStepOutput: OutputStore["loadStepOutput"];
  readonly saveState: StateStore["saveState"];
  readonly loadState: StateStore["loadState"];
  readonly loadStateEntry: StateStore["loadStateEntry"];
  readonly deleteState: StateStore["deleteState"];
  readonly getAllState: StateStore["getAllState"];
  readonly claimRuns: LeaseStore["claimRuns"];
  readonly extendLease: LeaseStore["extendLease"];
  readonly releaseLease: LeaseStore["releaseLease"];
  readonly batch: BatchStore["batch"];
  readonly transaction: TransactionStore["transaction"];
  readonly readBundles: BundleStore["readBundles"];
  readonly writeBundles: BundleStore["writeBundles"];
  readonly pruneRuns: MaintenanceStore["pruneRuns"];
  readonly stats: MaintenanceStore["stats"];

  readonly #clock: Clock;
  readonly #tables: Tables;
  /** Refuses the operation when the store is closed. */
  readonly #checkOpen: () => void;
  readonly #queue = new WriteQueue();
  /** Of a transaction's store. */
  #state: "open" | "in savepoint" | "ended" = "open";
  readonly #isTransaction: boolean;

  constructor(tables: Tables, clock: Clock, checkOpen: () => void, isTransaction = false) {
    this.#tables = tables;
    this.#clock = clock;
    this.#checkOpen = checkOpen;
    this.#isTransaction = isTransaction;
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
          this.#queue.run(() => operation(tables)),
        );
      },
    };
    const runs = createRunOperations(context);
    this.createRun = runs.createRun;
    this.getRun = runs.getRun;
    this.updateRun = runs.updateRun;
    this.reopenRun = runs.reopenRun;
    this.listRuns = runs.listRuns;
    this.countRuns = runs.countRuns;
    this.deleteRun = runs.deleteRun;
    const steps = createStepOperations(context);
    this.createStepExecution = steps.createStepExecution;
    this.getStepExecution = steps.getStepExecution;
    this.updateStepExecution = steps.updateStepExecution;
    this.listStepExecutions = steps.listStepExecutions;
    const outputs = createOutputOperations(context);
    this.saveStepOutput = outputs.saveStepOutput;
    this.loadStepOutput = outputs.loadStepOutput;
    const state = createStateOperations(context);
    this.saveState = state.saveState;
    this.loadState = state.loadState;
    this.loadStateEntry = state.loadStateEntry;
    this.deleteState = state.deleteState;
    this.getAllState = state.getAllState;
    const leases = createLeaseOperations(context);
    this.claimRuns = leases.claimRuns;
    this.extendLease = leases.extendLease;
    this.releaseLease = leases.releaseLease;
    this.batch = createBatchOperations(context).batch;
    const bundles = createBundleOperations(context);
    this.readBundles = bundles.readBundles;
    this.writeBundles = bundles.writeBundles;
    const maintenance = createMaintenanceOperations(context);
    this.pruneRuns = maintenance.pruneRuns;
    this.stats = maintenance.stats;
    this.transaction = async (work, options) => {
      const { signal } = parseOptions(options);
      this.#checkUsable(signal);
      return untilAborted(
        signal,
        this.#queue.runAsync(() => this.#transact(work, signal)),
      );
    };
  }

  /** A transaction's store is closed by the end of its transaction. */
  async close(): Promise<void> {}

  async #transact<T>(
    work: (tx: WorkflowStore) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const overlay = new Overlay(this.#tables);
    const tx = new OperationsStore(overlay, this.#clock, this.#checkOpen, true);
    if (this.#isTransaction) this.#state = "in savepoint";
    try {
      const result = await withOpenTransaction(this, () => work(tx));
      // The caller has been told that the call was aborted: nothing of it may be committed.
      signal?.throwIfAborted();
      overlay.commit();
      return result;
    } finally {
      tx.#state = "ended";
      if (this.#state === "in savepoint") this.#state = "open";
    }
  }

  #checkUsable(signal: AbortSignal | undefined): void {
    this.#checkOpen();
    signal?.throwIfAborted();
    if (this.#state !== "open") {
      throw new UnsupportedError({
        feature: "transaction",
        reason:
          this.#state === "ended"
            ? "the transaction has ended"
            : "a nested transaction is open: use it, or wait for its end",
      });
    }
    refuseInsideTransaction(this);
  }
}
