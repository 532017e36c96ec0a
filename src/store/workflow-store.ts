import type { AttemptStore } from "./attempts.ts";
import type { BatchStore } from "./batches.ts";
import type { BundleStore } from "./bundles.ts";
import type { LeaseStore } from "./leases.ts";
import type { MaintenanceStore } from "./maintenance.ts";
import type { OutputStore } from "./outputs.ts";
import type { RunStore } from "./runs.ts";
import type { StateStore } from "./state.ts";
import type { StepStore } from "./steps.ts";
import type { TransactionStore } from "./transactions.ts";

/**
 * A store of workflow runs: the contract that every backend fulfils and the conformance suite tests.
 *
 * - Creates and saves under an unknown run throw `RunNotFoundError`; gets, loads and updates of a missing child
 *   its own error; lists are empty.
 * - Every method rejects, none throws synchronously. Any number of calls may be under way at once.
 * - What is returned is the caller's own, mutable copy, and what is passed is never kept.
 * - An option that is undefined is absent; an unknown one is `InvalidArgumentError`.
 * - Times come from the store's clock. Skew between workers below half a lease is the operator's duty.
 */
export interface WorkflowStore
  extends
    RunStore,
    StepStore,
    AttemptStore,
    OutputStore,
    StateStore,
    LeaseStore,
    BatchStore,
    TransactionStore,
    BundleStore,
    MaintenanceStore {
  /** Ends the store; a second call does nothing. Every later call of another method: `StoreClosedError`. */
  close(): Promise<void>;
}
