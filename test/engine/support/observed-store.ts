import type { WorkflowStore } from "../../../src/store/workflow-store.ts";

type Operation = keyof WorkflowStore;

/** Called with each operation before it is carried out: may note it, or throw in its place. */
type Observer = (operation: Operation, carryOut: () => Promise<unknown>) => Promise<unknown>;

/** `store`, with an observer between it and its user. */
export function observe<Store extends WorkflowStore>(store: Store, observer: Observer): Store {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) =>
        observer(name as Operation, async () => Reflect.apply(member, target, args));
    },
  });
}

/**
 * The names of the operations that `store` was asked for. Claims that brought nothing are left out: when a worker
 * looks for more to do depends on the time.
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
