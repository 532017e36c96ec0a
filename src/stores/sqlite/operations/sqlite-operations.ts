import { refuseInsideTransaction, withOpenTransaction } from "../../../async/flow.ts";
import { untilAborted } from "../../../async/abort.ts";
import { parseOptions } from "../../../model/options.ts";
import { OperationsStore } from "../../operations-store.ts";
import { createBatchOperations } from "./batches.ts";
import { createBundleOperations } from "./bundles.ts";
import { createLeaseOperations } from "./leases.ts";
import { createMaintenanceOperations } from "./maintenance.ts";
import { createAttemptOperations } from "./attempts.ts";
import { createOutputOperations } from "./outputs.ts";
import { createRunOperations } from "./runs.ts";
import { createStateOperations } from "./state.ts";
import { createStepOperations } from "./steps.ts";
import type { StoreContext } from "./context.ts";

/** What an operation waits for, or is refused by, before it begins. */
export interface Gate {
  /** @throws when the store is closed. */
  checkOpen(): void;
  /** Resolves when the database is known to fit; null once it is. */
  readonly ready: Promise<void> | null;
}

/** Every operation of the contract on one connection: a database, a transaction or a savepoint. */
export class SQLiteOperations extends OperationsStore {
  constructor(shared: Omit<StoreContext, "perform">, gate: Gate) {
    const context: StoreContext = {
      ...shared,
      perform: (signal, operation) => performWhen(this, gate, signal, operation),
    };
    const runs = createRunOperations(context);
    super({
      ...runs,
      ...createStepOperations(context),
      ...createAttemptOperations(context),
      ...createOutputOperations(context),
      ...createStateOperations(context),
      ...createLeaseOperations(context),
      ...createBatchOperations(context),
      ...createBundleOperations(context),
      ...createMaintenanceOperations(context, runs.countRuns),
      transaction: async (work, options) => {
        const { signal } = parseOptions(options);
        return context.perform(signal, () =>
          shared.connection.transaction(
            (connection) => {
              // Its turn may come after the abort, or after the store was closed.
              gate.checkOpen();
              signal?.throwIfAborted();
              const tx = new SQLiteOperations({ ...shared, connection }, gate);
              return withOpenTransaction(this, async () => {
                const result = await work(tx);
                // The caller has been told that the call was aborted: nothing of it may be committed.
                signal?.throwIfAborted();
                return result;
              });
            },
            { signal },
          ),
        );
      },
    });
  }
}

/** Runs `operation` immediately once the store is ready. It may throw before it returns a promise. */
function performWhen<T>(
  store: object,
  gate: Gate,
  signal: AbortSignal | undefined,
  operation: () => Promise<T>,
): Promise<T> {
  gate.checkOpen();
  signal?.throwIfAborted();
  refuseInsideTransaction(store);
  if (gate.ready === null) return untilAborted(signal, operation());
  return gate.ready.then(() => {
    signal?.throwIfAborted();
    return untilAborted(signal, operation());
  });
}
