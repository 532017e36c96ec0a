import { LeaseLostError, RunNotFoundError, StoreClosedError } from "../../errors.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { RunExecution } from "../run/run-execution.ts";
import type { WorkerScope } from "../run/run-scope.ts";

/** The lease of one run that is active in this process. */
export class Lease {
  readonly #worker: WorkerScope;
  readonly #run: WorkflowRunSummary;
  readonly #execution: RunExecution;
  /** The time of the claim or the last extension, on the clock of `performance`. */
  #takenAt: number;
  /** The end of the lease, on the store's clock. */
  #endsAt: number;
  #isBusy = false;

  constructor(
    worker: WorkerScope,
    run: WorkflowRunSummary,
    execution: RunExecution,
    takenAt: number,
  ) {
    this.#worker = worker;
    this.#run = run;
    this.#execution = execution;
    this.#takenAt = takenAt;
    this.#endsAt = run.leaseExpiresAt?.getTime() ?? worker.clock().getTime() + worker.leaseMs;
  }

  /** Extends the lease if a quarter of it has passed. Stops the run if it is no longer held. */
  async heartbeat(): Promise<void> {
    if (this.#isBusy || !this.#isDue()) return;
    const { store, workerId, leaseMs, logger } = this.#worker;
    const { runId, attempt } = this.#run;
    const takenAt = performance.now();
    this.#isBusy = true;
    try {
      const end = await store.extendLease({ runId, workerId, attempt, leaseMs });
      this.#takenAt = takenAt;
      this.#endsAt = end.getTime();
    } catch (error) {
      if (error instanceof LeaseLostError || error instanceof RunNotFoundError) {
        this.#execution.lose(error);
      } else if (error instanceof StoreClosedError) this.#execution.stop(error);
      // The run may continue, because the claim is valid until another worker claims the run.
      else logger.warn({ runId, err: error }, "lease could not be extended");
    } finally {
      this.#isBusy = false;
    }
  }

  #isDue(): boolean {
    const { leaseMs, clock } = this.#worker;
    if (performance.now() - this.#takenAt >= leaseMs / 4) return true;
    // `performance` may stop while the computer sleeps, and the clock may be set. So both are checked.
    return this.#endsAt - clock().getTime() <= (leaseMs * 3) / 4;
  }
}
