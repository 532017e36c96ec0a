import { UnsupportedError } from "../errors.ts";

/** The part of Node's AsyncLocalStorage that we use. */
interface ContextStorage {
  getStore(): OpenTransaction | undefined;
  run<T>(value: OpenTransaction, work: () => T): T;
}

/** A transaction that is open in this asynchronous context. */
interface OpenTransaction {
  readonly store: object;
  readonly outer: OpenTransaction | undefined;
  /** The reason why the store may not be used in this context. */
  readonly reason: string;
  /** False once it has ended. Work that was started inside it and still runs may use the store again. */
  active: boolean;
}

/**
 * Present on Node, Bun, Deno, and edge runtimes with Node's compatibility. Elsewhere, misuse is not detected. It is not
 * imported, so that bundles for the edge contain no Node module.
 */
const hooks = loadHooks();
const storage: ContextStorage | null = hooks === null ? null : new hooks.AsyncLocalStorage();
// An AsyncLocalStorage that is in use makes every promise of the process slower, and `AsyncLocalStorage.snapshot` takes a
// hundred times as long on Node 20.
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

/** Calls `work` in a certain asynchronous context, with the values that the app's AsyncLocalStorage has there. */
export type Flow = <T>(work: () => T) => T;

/** Captures the current context. */
export function captureFlow(): Flow {
  if (FlowResource === null) return (work) => work();
  const resource = new FlowResource("gorkflow");
  return (work) => resource.runInAsyncScope(work);
}

/** The context in which this module was loaded, which belongs to no request. */
export const outerFlow: Flow = captureFlow();

/** Runs `work` in a context in which `store` has an open transaction, or waits for `work` for another reason. */
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
 * Refuses a call inside a transaction of `store`, because the two would wait for each other.
 *
 * @throws {UnsupportedError} if this context is inside a transaction of the store.
 */
export function refuseInsideTransaction(store: object): void {
  if (storage === null) return;
  for (let open = storage.getStore(); open !== undefined; open = open.outer) {
    if (open.active && open.store === store) {
      throw new UnsupportedError({ feature: "transaction", reason: open.reason });
    }
  }
}
