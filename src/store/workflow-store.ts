import type { WorkflowJson } from "../schema/json-types.ts";
import type { AttemptStore } from "./attempts.ts";
import type { BatchStore } from "./batches.ts";
import type { BulkStore } from "./bulk-changes.ts";
import type { BundleStore } from "./bundles.ts";
import type { LeaseStore } from "./leases.ts";
import type { MaintenanceStore } from "./maintenance.ts";
import type { OutputStore } from "./outputs.ts";
import type { PauseStore } from "./pauses.ts";
import type { RunStore } from "./runs.ts";
import type { StateStore } from "./state.ts";
import type { StepStore } from "./steps.ts";
import type { TransactionStore } from "./transactions.ts";

/**
 * A store of workflow runs. Every store implements this contract, and the conformance suite tests it.
 *
 * - To create or save something of an unknown run rejects with `RunNotFoundError`. To get, load or update a missing
 *   child rejects with the error of that child. Lists of an unknown run are empty.
 * - Methods reject and never throw synchronously. Any number of calls may run concurrently.
 * - Results are mutable copies that belong to the caller. Arguments are copied before the call returns.
 * - An option that is `undefined` counts as absent. An unknown option rejects with `InvalidArgumentError`.
 * - Times come from the store's clock. The clocks of workers must differ by less than half a lease.
 */
export interface WorkflowStore<Json extends WorkflowJson = WorkflowJson>
  extends
    RunStore<Json>,
    BulkStore,
    StepStore<Json>,
    AttemptStore,
    OutputStore<Json>,
    StateStore,
    LeaseStore<Json>,
    PauseStore,
    BatchStore,
    TransactionStore,
    BundleStore,
    MaintenanceStore {
  /** Closes the store. A second call does nothing. Later calls of other methods reject with `StoreClosedError`. */
  close(): Promise<void>;
}
