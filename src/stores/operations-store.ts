import type { WorkflowStore } from "../store/workflow-store.ts";

/** The operations of every capability, each a function that needs no `this`. */
export type StoreOperations = Omit<WorkflowStore, "close">;

const operations = {
  createRun: true,
  getRun: true,
  updateRun: true,
  reopenRun: true,
  listRuns: true,
  countRuns: true,
  deleteRun: true,
  createStepExecution: true,
  getStepExecution: true,
  updateStepExecution: true,
  listStepExecutions: true,
  saveStepAttempt: true,
  listStepAttempts: true,
  saveStepOutput: true,
  loadStepOutput: true,
  saveState: true,
  loadState: true,
  loadStateEntry: true,
  deleteState: true,
  getAllState: true,
  claimRuns: true,
  extendLease: true,
  releaseLease: true,
  batch: true,
  transaction: true,
  readBundles: true,
  writeBundles: true,
  pruneRuns: true,
  stats: true,
} satisfies Record<keyof StoreOperations, true>;

/** The name of every operation. */
export const operationNames = Object.keys(operations) as (keyof StoreOperations)[];

class Operations {
  // Not a private name: a proxy of the store must reach it.
  private readonly operations: StoreOperations;

  static {
    // On the prototype, so that a subclass can override an operation and call the one that it replaces.
    for (const name of operationNames) {
      Object.defineProperty(this.prototype, name, {
        configurable: true,
        writable: true,
        value(this: Operations, ...args: unknown[]): unknown {
          return Reflect.apply(this.operations[name], undefined, args);
        },
      });
    }
  }

  constructor(operations: StoreOperations) {
    this.operations = operations;
  }

  /** A transaction's store is closed by the end of its transaction. */
  async close(): Promise<void> {}
}

/** A store that is put together from its capabilities, one file each. */
export const OperationsStore = Operations as unknown as new (
  operations: StoreOperations,
) => WorkflowStore;
