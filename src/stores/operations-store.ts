import type { AttemptStore } from "../store/attempts.ts";
import type { BatchStore } from "../store/batches.ts";
import type { BundleStore } from "../store/bundles.ts";
import type { LeaseStore } from "../store/leases.ts";
import type { MaintenanceStore } from "../store/maintenance.ts";
import type { OutputStore } from "../store/outputs.ts";
import type { RunStore } from "../store/runs.ts";
import type { StateStore } from "../store/state.ts";
import type { StepStore } from "../store/steps.ts";
import type { TransactionStore } from "../store/transactions.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";

/** The operations of every capability, each a function that needs no `this`. */
export type StoreOperations = Omit<WorkflowStore, "close">;

/** A store that is put together from its capabilities, one file each. */
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
  readonly saveStepAttempt: AttemptStore["saveStepAttempt"];
  readonly listStepAttempts: AttemptStore["listStepAttempts"];
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

  constructor(operations: StoreOperations) {
    this.createRun = operations.createRun;
    this.getRun = operations.getRun;
    this.updateRun = operations.updateRun;
    this.reopenRun = operations.reopenRun;
    this.listRuns = operations.listRuns;
    this.countRuns = operations.countRuns;
    this.deleteRun = operations.deleteRun;
    this.createStepExecution = operations.createStepExecution;
    this.getStepExecution = operations.getStepExecution;
    this.updateStepExecution = operations.updateStepExecution;
    this.listStepExecutions = operations.listStepExecutions;
    this.saveStepAttempt = operations.saveStepAttempt;
    this.listStepAttempts = operations.listStepAttempts;
    this.saveStepOutput = operations.saveStepOutput;
    this.loadStepOutput = operations.loadStepOutput;
    this.saveState = operations.saveState;
    this.loadState = operations.loadState;
    this.loadStateEntry = operations.loadStateEntry;
    this.deleteState = operations.deleteState;
    this.getAllState = operations.getAllState;
    this.claimRuns = operations.claimRuns;
    this.extendLease = operations.extendLease;
    this.releaseLease = operations.releaseLease;
    this.batch = operations.batch;
    this.transaction = operations.transaction;
    this.readBundles = operations.readBundles;
    this.writeBundles = operations.writeBundles;
    this.pruneRuns = operations.pruneRuns;
    this.stats = operations.stats;
  }

  /** A transaction's store is closed by the end of its transaction. */
  async close(): Promise<void> {}
}
