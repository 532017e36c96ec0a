import { operationNames, type StoreOperations } from "../store/operations.ts";
import type { WorkflowJson } from "../schema/json-types.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";

class Operations {
  // Not a `#` name, because a proxy of the store must reach it.
  private readonly operations: StoreOperations;

  static {
    // On the prototype, so that a subclass can override an operation and call the original.
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

  /** The store of a transaction closes when the transaction ends. */
  async close(): Promise<void> {}
}

/** A store with these operations as methods. */
export const OperationsStore = Operations as unknown as new <
  Json extends WorkflowJson = WorkflowJson,
>(
  operations: StoreOperations,
) => WorkflowStore<Json>;
