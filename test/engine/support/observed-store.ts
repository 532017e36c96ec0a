import type { WorkflowStore } from "../../../src/store/workflow-store.ts";

type Operation = keyof WorkflowStore;

/** Called with each operation. It may record the operation, carry it out, or throw. */
type Observer = (
  operation: Operation,
  carryOut: () => Promise<unknown>,
  args: readonly unknown[],
) => Promise<unknown>;

/** Wraps `store` so that `observer` sees each operation. */
export function observe<Store extends WorkflowStore>(store: Store, observer: Observer): Store {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) =>
        observer(name as Operation, async () => Reflect.apply(member, target, args), args);
    },
  });
}

/**
 * Wraps `store` and records the names of its operations, without empty claims, whose number depends on timing.
 */
export function record<Store extends WorkflowStore>(
  store: Store,
): { readonly store: Store; readonly operations: Operation[] } {
  const operations: Operation[] = [];
  const observed = observe(store, async (operation, carryOut) => {
    if (operation !== "claimRuns") operations.push(operation);
    const result = await carryOut();
    if (Array.isArray(result) && operation === "claimRuns" && result.length > 0) {
      operations.push(operation);
    }
    return result;
  });
  return { store: observed, operations };
}
