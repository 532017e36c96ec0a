import { UnsupportedError } from "../errors.ts";
import type { OperationOptions } from "./options.ts";
import type { WorkflowStore } from "./workflow-store.ts";

export interface TransactionStore {
  /**
   * Runs `work` in a transaction. Its changes through `tx` commit when it returns. If it throws, they roll back, and the
   * call rejects with the same error.
   *
   * Other connections see the changes after the commit. `tx.transaction` is a savepoint, and one may be open at a time.
   * Calls of the store itself inside `work` reject with `UnsupportedError`, if the runtime has AsyncLocalStorage. In memory
   * and on a local database, a write that waits for 5 seconds behind one transaction rejects with `StoreBusyError`. A libSQL
   * server ends a transaction after 5 seconds; prefer `batch`.
   */
  transaction<T>(work: (tx: WorkflowStore) => Promise<T>, options?: OperationOptions): Promise<T>;
}

/**
 * An optional capability, for a store in a database of the app.
 *
 * `HostTransaction` is the app's transaction. For `LibSQLStore` it is the argument of Drizzle's `db.transaction`.
 */
export interface HostTransactions<HostTransaction = unknown> {
  /** The app's database, which `ctx.transaction(db, …)` must be given. Defaults to any. */
  readonly db?: unknown;

  /** Returns a store whose writes are part of the app's transaction. */
  withTransaction(transaction: HostTransaction): WorkflowStore;

  /**
   * Like `transaction`, and also passes the transaction of the database to `work`.
   *
   * @throws {StoreConnectionError} if the transaction was lost while `work` ran. It is retryable, and its cause is the
   *   error that `work` threw.
   */
  hostTransaction<T>(
    work: (transaction: HostTransaction, tx: WorkflowStore) => Promise<T>,
    options?: OperationOptions,
  ): Promise<T>;
}

/** True if the store has the capability `HostTransactions`. */
export function hasHostTransactions(store: object): store is HostTransactions {
  return "withTransaction" in store && "hostTransaction" in store;
}

/** The capability `HostTransactions` of the store. @throws {UnsupportedError} if the store does not have it. */
export function requireHostTransactions(store: object, feature: string): HostTransactions {
  if (hasHostTransactions(store)) return store;
  throw new UnsupportedError({
    feature,
    reason: "the store has no interactive transactions in a database of an app",
  });
}
