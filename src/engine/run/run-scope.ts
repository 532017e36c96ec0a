import type { Stopper, StopSignal } from "../../async/abort.ts";
import type { Fence } from "../../model/transitions.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { Clock } from "../../store/clock.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import type { Workflow } from "../definition/workflow-builder.ts";
import type { BoundLogger } from "../observe/logger.ts";
import type { RunObserver } from "../observe/run-observer.ts";
import type { KnownInput } from "../started-runs.ts";

/** What the runs of one worker share. */
export interface WorkerScope {
  readonly store: WorkflowStore;
  readonly workerId: string;
  /** The duration of a lease, and of retries while the store is busy or unreachable. */
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly logger: BoundLogger;
}

export interface ClaimedRun extends WorkerScope {
  readonly workflow: Workflow;
  /** The run at the time of the claim. */
  readonly run: WorkflowRunSummary;
  /** Identifies the claim. Writes with this fence take effect only while the worker holds the run. */
  readonly fence: Fence;
  /** The input of the run if this process knows it, otherwise null. */
  readonly knownInput: KnownInput | null;
  readonly observer: RunObserver;
}

/** What the parts of one execution share. */
export interface RunScope extends ClaimedRun {
  /** Aborts with the reason when this execution stops. A failed write aborts it with its error. */
  readonly signal: Stopper;
  /** Aborts when no further step should begin here. */
  readonly drainSignal: StopSignal;
  /** Stops the run in this process after the store refused a write. */
  readonly lose: (error: Error) => void;
}
