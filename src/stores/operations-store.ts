import type { WorkflowStore } from "../store/workflow-store.ts";

/** The operations of every capability, each a function that needs no `this`. */
export type StoreOperations = Omit<WorkflowStore, "close">;

const kinds = {
  createRun: "write",
  getRun: "read",
  findRun: "read",
  updateRun: "write",
  reopenRun: "write",
  listRuns: "read",
  countRuns: "read",
  deleteRun: "write",
  createStepExecution: "write",
  getStepExecution: "read",
  findStepExecution: "read",
  updateStepExecution: "write",
  listStepExecutions: "read",
  saveStepAttempt: "write",
  listStepAttempts: "read",
  saveStepOutput: "write",
  loadStepOutput: "read",
  findStepOutput: "read",
  saveState: "write",
  loadState: "read",
  loadStateEntry: "read",
  findState: "read",
  deleteState: "write",
  getAllState: "read",
  claimRuns: "write",
  extendLease: "write",
  releaseLease: "write",
  batch: "write",
  transaction: "write",
  readBundles: "read",
  writeBundles: "write",
  pruneRuns: "write",
  stats: "read",
} satisfies Record<keyof StoreOperations, "read" | "write">;

/** The name of every operation. */
export const operationNames = Object.keys(kinds) as (keyof StoreOperations)[];

/** True for an operation that changes nothing. */
export function isRead(name: keyof StoreOperations): boolean {
  return kinds[name] === "read";
}

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
          return (this.operations[name] as (...args: unknown[]) => unknown)(...args);
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
