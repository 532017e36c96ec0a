import type { OperationOptions } from "./options.ts";
import type { WorkflowStore } from "./workflow-store.ts";

export interface TransactionStore {
  /**
   * Runs `work` in a transaction: all that it does through `tx` is committed when it returns, and undone when
   * it throws; that error is then the one thrown.
   *
   * Others see nothing of it before the commit. `tx.transaction` is a savepoint; only one may be open at a
   * time. Using the store itself, instead of `tx`, inside `work` rejects with `UnsupportedError` where the
   * runtime lets us see it (AsyncLocalStorage). On a libSQL server a transaction has 5 seconds; prefer `batch`.
   */
  transaction<T>(work: (tx: WorkflowStore) => Promise<T>, options?: OperationOptions): Promise<T>;
}

/**
 * The optional capability of a store whose database the app uses, too.
 *
 * `HostTransaction` is the app's own transaction: for `LibSQLStore`, what Drizzle's `db.transaction` hands out.
 */
export interface HostTransactions<HostTransaction = unknown> {
  /** The store inside the app's transaction: it commits and rolls back with it. */
  withTransaction(transaction: HostTransaction): WorkflowStore;

  /**
   * Like `transaction`, and hands out the database's own transaction beside the store.
   *
   * @throws {StoreConnectionError} that is retryable, in place of what `work` threw, when the transaction was lost
   * under it; what it threw is the cause.
   */
  hostTransaction<T>(
    work: (transaction: HostTransaction, tx: WorkflowStore) => Promise<T>,
    options?: OperationOptions,
  ): Promise<T>;
}

/** True when the store can take part in an app's transactions. */
export function hasHostTransactions(store: object): store is HostTransactions {
  return "withTransaction" in store && "hostTransaction" in store;
}
