import { LeaseLostError, RunNotFoundError, StoreClosedError } from "../../errors.ts";
import { RunExecution } from "../run/run-execution.ts";
import type { ClaimedRun } from "../run/run-scope.ts";

/** A run that is active in this process, and its lease. */
export class ActiveRun {
  readonly claimed: ClaimedRun;
  readonly execution: RunExecution;
  /** Resolves when the run is no longer active. */
  ended: Promise<void> = Promise.resolve();
  /** The time of the claim or the last extension, on the clock of `performance`. */
  #takenAt: number;
  /** The end of the lease, on the store's clock. */
  #endsAt: number;
  #isBusy = false;

  constructor(claimed: ClaimedRun, takenAt: number) {
    this.claimed = claimed;
    this.execution = new RunExecution(claimed);
    this.#takenAt = takenAt;
    const { run, clock, leaseMs } = claimed;
    this.#endsAt = run.leaseExpiresAt?.getTime() ?? clock().getTime() + leaseMs;
  }

  /** Extends the lease if a quarter of it has passed. Stops the run if it is no longer held. */
  async heartbeat(): Promise<void> {
    if (this.#isBusy || !this.#isDue()) return;
    const { store, leaseMs, logger, run, fence } = this.claimed;
    const { runId } = run;
    const takenAt = performance.now();
    this.#isBusy = true;
    try {
      const end = await store.extendLease({ runId, ...fence, leaseMs });
      this.#takenAt = takenAt;
      this.#endsAt = end.getTime();
    } catch (error) {
      if (error instanceof LeaseLostError || error instanceof RunNotFoundError) {
        this.execution.lose(error);
      } else if (error instanceof StoreClosedError) this.execution.stop(error);
      // The run may continue, because the claim is valid until another worker claims the run.
      else logger.warn({ runId, err: error }, "lease could not be extended");
    } finally {
      this.#isBusy = false;
    }
  }

  #isDue(): boolean {
    const { leaseMs, clock } = this.claimed;
    if (performance.now() - this.#takenAt >= leaseMs / 4) return true;
    // `performance` may stop while the computer sleeps, and the clock may be set. So both are checked.
    return this.#endsAt - clock().getTime() <= (leaseMs * 3) / 4;
  }
}
