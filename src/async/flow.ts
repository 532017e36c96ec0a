import { UnsupportedError } from "../errors.ts";

/** What we need of Node's AsyncLocalStorage. */
interface ContextStorage {
  getStore(): OpenTransaction | undefined;
  run<T>(value: OpenTransaction, work: () => T): T;
}

/** A transaction that is under way in this asynchronous flow. */
interface OpenTransaction {
  readonly store: object;
  readonly outer: OpenTransaction | undefined;
  /** Why the store may not be used in this flow. */
  readonly reason: string;
  /** False once it has ended: what was started inside it and still runs may use the store again. */
  active: boolean;
}

/**
 * Present on Node, Bun and Deno, and on edge runtimes with Node's compatibility; elsewhere misuse is not seen.
 * Looked up without an import, so that bundles for the edge have no Node module in them.
 */
const hooks = loadHooks();
const storage: ContextStorage | null = hooks === null ? null : new hooks.AsyncLocalStorage();
// It takes no AsyncLocalStorage of ours: one that is in use makes every promise of the process slower.
// `AsyncLocalStorage.snapshot` does the same and takes a hundred times as long on Node 20.
const FlowResource = hooks?.AsyncResource ?? null;

function loadHooks() {
  const process: { getBuiltinModule?: (name: string) => unknown } | undefined = Reflect.get(
    globalThis,
    "process",
  );
  const module = process?.getBuiltinModule?.("node:async_hooks") as
    | {
        AsyncLocalStorage: new () => ContextStorage;
        AsyncResource?: new (type: string) => { runInAsyncScope<T>(work: () => T): T };
      }
    | undefined;
  return module ?? null;
}

/** Calls work in a certain asynchronous flow: with what the app's own AsyncLocalStorage has there. */
export type Flow = <T>(work: () => T) => T;

/** The present flow. */
export function captureFlow(): Flow {
  if (FlowResource === null) return (work) => work();
  const resource = new FlowResource("gorkflow");
  return (work) => resource.runInAsyncScope(work);
}

/** The flow in which this module was loaded: that of no request. */
export const outerFlow: Flow = captureFlow();

/** Runs `work` in a flow in which `store` has a transaction open, or waits for `work` for another reason. */
export async function withOpenTransaction<T>(
  store: object,
  work: () => Promise<T>,
  reason = "the store was used inside its own transaction: use the `tx` that it hands out",
): Promise<T> {
  if (storage === null) return work();
  const transaction: OpenTransaction = { store, outer: storage.getStore(), reason, active: true };
  try {
    return await storage.run(transaction, work);
  } finally {
    transaction.active = false;
  }
}

/**
 * Passes unless this flow is inside a transaction of `store`: the call would wait for a transaction that waits
 * for it.
 *
 * @throws {UnsupportedError}
 */
export function refuseInsideTransaction(store: object): void {
  if (storage === null) return;
  for (let open = storage.getStore(); open !== undefined; open = open.outer) {
    if (open.active && open.store === store) {
      throw new UnsupportedError({ feature: "transaction", reason: open.reason });
    }
  }
}
