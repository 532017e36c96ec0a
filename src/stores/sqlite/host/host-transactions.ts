import { sql } from "drizzle-orm";
import { untilAborted } from "../../../async/abort.ts";
import { refuseInsideTransaction, withOpenTransaction } from "../../../async/flow.ts";
import type { AppTransaction } from "../../../drizzle-types.ts";
import { StoreConnectionError } from "../../../errors.ts";
import type { RunQuery } from "../../../migrations/structure.ts";
import { parseOptions } from "../../../model/options.ts";
import type { OperationOptions } from "../../../store/options.ts";
import type { HostTransactions } from "../../../store/transactions.ts";
import type { WorkflowStore } from "../../../store/workflow-store.ts";
import { HostConnection, runHostTransaction } from "../connections/host.ts";
import { constraintOf, examine, isOverdueTransaction } from "../errors/symptoms.ts";
import type { StoreContext } from "../operations/context.ts";
import { SQLiteOperations } from "../operations/sqlite-operations.ts";
import type { Database } from "../statements/statement.ts";
import { withCache, type ForgetCached } from "./cache-invalidation.ts";
import { askTransaction, assertHostTransaction, assertSameDatabase } from "./checks.ts";
import { HostGate, type StoreGate } from "./store-gate.ts";

/** A store in an app's database whose transactions are asynchronous. */
export interface StoreHost {
  readonly store: object;
  readonly db: Pick<Database, "transaction">;
  readonly context: StoreContext;
  readonly gate: StoreGate;
  readonly forget: ForgetCached | null;
  readonly ask: RunQuery;
  /** True if the transaction is known to be in the store's database. */
  owns(transaction: Database): boolean;
}

/** The methods of `HostTransactions` of the store. */
export function createHostTransactions(
  host: StoreHost,
): Pick<HostTransactions<AppTransaction>, "withTransaction" | "hostTransaction"> {
  const { store, db, context, gate, forget, ask } = host;

  /** The check before the first operation in an app's transaction; null if none is needed. */
  function checkTransaction(transaction: Database): Promise<void> | null {
    // The check uses the transaction, because its client may have only one connection.
    const query = askTransaction(transaction);
    if (!host.owns(transaction)) return assertSameDatabase(query, ask);
    return gate.isChecked ? null : gate.check(query);
  }

  function withTransaction(transaction: AppTransaction): WorkflowStore {
    assertHostTransaction(transaction);
    const connection = withCache(new HostConnection(transaction), forget);
    return new SQLiteOperations(
      { ...context, connection },
      new HostGate(gate, () => checkTransaction(transaction)),
    );
  }

  async function hostTransaction<T>(
    work: (transaction: AppTransaction, tx: WorkflowStore) => Promise<T>,
    options?: OperationOptions,
  ): Promise<T> {
    const { signal } = parseOptions(options);
    gate.checkOpen();
    signal?.throwIfAborted();
    refuseInsideTransaction(store);
    if (gate.ready !== null) await gate.ready;
    const transaction = runHostTransaction(
      db,
      "write",
      async (appTransaction) => {
        // The store may have been closed, or the call aborted, while it waited.
        gate.checkOpen();
        signal?.throwIfAborted();
        const tx = withTransaction(appTransaction);
        const result = await withOpenTransaction(store, () => work(appTransaction, tx));
        signal?.throwIfAborted();
        return result;
      },
      causeOfRollback,
    ).finally(() => forget?.());
    return untilAborted(signal, transaction);
  }

  return { withTransaction, hostTransaction };
}

/**
 * The error of a transaction: the error of its work, or a retryable one if the transaction was lost while the work ran. A lost
 * transaction rejects every statement. So does one that took too long, or that a trigger has rolled back, but a retry would
 * not help it.
 */
async function causeOfRollback(transaction: Database, thrown: unknown): Promise<unknown> {
  if (isOverdueTransaction(thrown) || constraintOf(examine(thrown)) !== null) return thrown;
  try {
    await transaction.run(sql`select 1`);
    return thrown;
  } catch (error) {
    if (isOverdueTransaction(error)) return thrown;
    const reason = "the connection was lost in a transaction";
    return new StoreConnectionError(
      { reason, outcome: "none", retryable: true },
      { cause: examine(thrown).origin },
    );
  }
}
