import { LeaseLostError, RunNotFoundError, StoreClosedError } from "../../errors.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { Clock } from "../../store/clock.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import type { BoundLogger } from "../observe/logger.ts";
import type { RunExecution } from "../run/run-execution.ts";

export interface LeaseOptions {
  readonly store: WorkflowStore;
  readonly workerId: string;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly logger: BoundLogger;
}

/** The lease of one run that is active in this process. */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #run: WorkflowRunSummary;
  readonly #execution: RunExecution;
  /** When the lease was taken or last extended, on the clock of `performance`. */
  #takenAt: number;
  /** When the lease ends, on the store's clock. */
  #endsAt: number;
  #extension: Promise<void> | null = null;

  constructor(
    options: LeaseOptions,
    run: WorkflowRunSummary,
    execution: RunExecution,
    takenAt: number,
  ) {
    this.#options = options;
    this.#run = run;
    this.#execution = execution;
    this.#takenAt = takenAt;
    this.#endsAt = run.leaseExpiresAt?.getTime() ?? options.clock().getTime() + options.leaseMs;
  }

  /** True if a quarter of the lease has passed. */
  get isDue(): boolean {
    const { leaseMs, clock } = this.#options;
    if (performance.now() - this.#takenAt >= leaseMs / 4) return true;
    // The clock of `performance` stands still while a computer sleeps; the other one may be set.
    return this.#endsAt - clock().getTime() <= (leaseMs * 3) / 4;
  }

  /** Extends the lease. Stops the run if it is no longer held. */
  extend(): Promise<void> {
    return (this.#extension ??= this.#extend().finally(() => {
      this.#extension = null;
    }));
  }

  async #extend(): Promise<void> {
    const { store, workerId, leaseMs, logger } = this.#options;
    const { runId, attempt } = this.#run;
    const takenAt = performance.now();
    try {
      const end = await store.extendLease({ runId, workerId, attempt, leaseMs });
      this.#takenAt = takenAt;
      this.#endsAt = end.getTime();
    } catch (error) {
      if (error instanceof LeaseLostError || error instanceof RunNotFoundError) {
        this.#execution.lose(error);
      } else if (error instanceof StoreClosedError) this.#execution.stop(error);
      // The run may continue: the claim holds until another worker claims the run.
      else logger.warn({ runId, err: error }, "lease could not be extended");
    }
  }
}
