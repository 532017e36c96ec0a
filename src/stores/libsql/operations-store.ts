import { refuseInsideTransaction, withOpenTransaction } from "../../async-context.ts";
import { untilAborted } from "../../model/abort.ts";
import { parseOptions } from "../../model/options.ts";
import type { BatchStore } from "../../store/batches.ts";
import type { BundleStore } from "../../store/bundles.ts";
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
import { createRunOperations } from "./runs.ts";
import { createStateOperations } from "./state.ts";
import { createStepOperations } from "./steps.ts";
import type { StoreContext } from "./store-context.ts";

/** What an operation waits for, or is refused by, before it begins. */
export interface Gate {
  /** @throws when the store is closed. */
  checkOpen(): void;
  /** Resolves when the database is known to fit; null once it is. */
  readonly ready: Promise<void> | null;
}

/** Every operation of the contract on one connection: a database, a transaction or a savepoint. */
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

  constructor(shared: Omit<StoreContext, "perform">, gate: Gate) {
    const context: StoreContext = {
      ...shared,
      perform: (signal, operation) => performWhen(this, gate, signal, operation),
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
    const maintenance = createMaintenanceOperations(context, runs.countRuns);
    this.pruneRuns = maintenance.pruneRuns;
    this.stats = maintenance.stats;
    this.transaction = async (work, options) => {
      const { signal } = parseOptions(options);
      return context.perform(signal, () =>
        shared.connection.transaction((connection) => {
          const tx = new OperationsStore({ ...shared, connection }, gate);
          return withOpenTransaction(this, async () => {
            const result = await work(tx);
            // The caller has been told that the call was aborted: nothing of it may be committed.
            signal?.throwIfAborted();
            return result;
          });
        }),
      );
    };
  }

  /** A transaction's store is closed by the end of its transaction. */
  async close(): Promise<void> {}
}

async function performWhen<T>(
  store: object,
  gate: Gate,
  signal: AbortSignal | undefined,
  operation: () => Promise<T>,
): Promise<T> {
  gate.checkOpen();
  signal?.throwIfAborted();
  refuseInsideTransaction(store);
  if (gate.ready !== null) await gate.ready;
  return untilAborted(signal, operation());
}
