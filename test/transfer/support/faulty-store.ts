import type { WorkflowStore } from "../../../src/store/workflow-store.ts";

export interface FaultyStore {
  readonly store: WorkflowStore;
  /** What every call of the store waits for, or fails by, from now on; null for neither. */
  fault: (() => Promise<void>) | null;
  /** The same, after it has been done: the answer is lost. */
  faultAfter: (() => Promise<void>) | null;
  /** The operations that were called, by name. */
  readonly calls: string[];
}

/** A store whose operations can be made slow, or made to fail. */
export function faultyStore(store: WorkflowStore): FaultyStore {
  const faulty: FaultyStore = {
    fault: null,
    faultAfter: null,
    calls: [],
    store: new Proxy(store, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        if (name === "close") return () => target.close();
        return async (...args: unknown[]) => {
          faulty.calls.push(String(name));
          await faulty.fault?.();
          const result: unknown = await Reflect.apply(member, target, args);
          await faulty.faultAfter?.();
          return result;
        };
      },
    }),
  };
  return faulty;
}
