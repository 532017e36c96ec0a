import { Stopper } from "../../async/abort.ts";
import { callAfter, pause } from "../../async/pause.ts";
import { Backoff } from "../../async/retry.ts";
import {
  CorruptRowError,
  EngineClosedError,
  LeaseLostError,
  RunAbandonedError,
  RunCancelledError,
  RunTimeoutError,
  StepOutputNotFoundError,
  StoreClosedError,
} from "../../errors.ts";
import type { NewStepExecution, StepExecutionSummary } from "../../schema/rows.ts";
import type { RunEnding } from "../observe/events.ts";
import { hasConditions } from "../definition/workflow-plan.ts";
import { isBusy, retryWhileBusy } from "../store-retry.ts";
import { cancelSteps, writeCancelled } from "./run-cancellation.ts";
import { writeEvent } from "./run-events.ts";
import { loadRun } from "./run-loading.ts";
import type { ClaimedRun, RunScope } from "./run-scope.ts";
import { isLoss, isRefusal, RunWriter } from "./run-writer.ts";
import { enterStage } from "./stage-entry.ts";
import { StageExecution } from "./stage-execution.ts";
import { describeProgress, isUndecided, type StageRun } from "./stage-run.ts";
import { describeError } from "./step-errors.ts";

/** The number of tries while the store fails. After that, the lease of the run expires. */
const maxTries = 5;

/** Executes one claimed run until it ends, is released or is lost. */
export class RunExecution {
  readonly #claimed: ClaimedRun;
  /** Aborts when the run stops in this process; the reason says why. */
  readonly #stopper = new Stopper();
  readonly #drainer = new Stopper();
  /** Aborts when the engine no longer waits for the last writes. */
  readonly #closer = new Stopper();
  #stage: StageRun | null = null;
  /** True if this claim may have begun a step. */
  #hasBegun = false;
  /** The time at which the released run continues; null if it can continue at once. */
  wakesAt: Date | null = null;

  constructor(claimed: ClaimedRun) {
    this.#claimed = claimed;
  }

  /** Resolves when this process no longer executes the run. Steps that ignore their signal may still run. */
  async run(): Promise<RunEnding> {
    const cancelDeadline = this.#stopAtDeadline();
    const backoff = new Backoff(50, 1000);
    try {
      for (let tries = 1; ; tries++) {
        const ending = await this.#try(tries === 1);
        if (ending !== "troubled" || tries === maxTries || this.#drainer.aborted) return ending;
        await pause(backoff.next(), this.#drainer);
      }
    } finally {
      cancelDeadline?.();
    }
  }

  /** Ends the execution. Nothing more is written, and the signals of the steps abort. */
  stop(reason: unknown): void {
    if (reason instanceof EngineClosedError || reason instanceof StoreClosedError) {
      this.#closer.abort(reason);
    }
    this.#drainer.abort(reason);
    this.#stopper.abort(reason);
  }

  /** Begins no further steps. Running steps may end. */
  drain(): void {
    this.#drainer.abort();
  }

  /** Stops the run after the store refused a write or a heartbeat. */
  lose(error: Error): void {
    const { runId } = this.#claimed.run;
    const isCancelled = error instanceof LeaseLostError && error.status === "CANCELLED";
    this.stop(isCancelled ? new RunCancelledError({ runId }, { cause: error }) : error);
  }

  /** Executes the run from its stored state. An error of the store ends only this try. */
  async #try(isFirst: boolean): Promise<RunEnding> {
    const signal = new Stopper();
    const stop = (): void => signal.abort(this.#stopper.reason);
    const scope: RunScope = {
      ...this.#claimed,
      signal,
      drainSignal: this.#drainer,
      lose: (error) => this.lose(error),
    };
    const writer = new RunWriter(scope);
    this.#stopper.addEventListener("abort", stop);
    try {
      this.#stopper.throwIfAborted();
      return await this.#advance(scope, writer, isFirst);
    } catch (error) {
      signal.abort(error);
      await writer.settled();
      return await this.#endAfter(signal.reason);
    } finally {
      this.#stopper.removeEventListener("abort", stop);
    }
  }

  async #advance(scope: RunScope, writer: RunWriter, isFirst: boolean): Promise<RunEnding> {
    this.#stage = null;
    let at = await loadRun(scope, isFirst);
    // The process that stored the end of the last step may have died before it ended the run.
    if ("status" in at) {
      await writer.store({ endedSteps: scope.workflow.plan.stepIds.size, result: at });
    }
    while (!("status" in at)) {
      // Closing does not wait for a condition, and begins no step.
      if (this.#drainer.aborted) throw new EngineClosedError();
      if (isUndecided(at)) {
        at = await enterStage(scope, writer, at);
        continue;
      }
      this.#stage = at;
      this.#hasBegun = true;
      const execution = new StageExecution(scope, writer, at);
      const end = await execution.run();
      if (end === "waiting") {
        const wakeAt = execution.waitsUntil;
        await writer.store({ ...describeProgress(at), released: { wakeAt } });
        this.wakesAt = wakeAt;
        return "released";
      }
      at = end;
    }
    return at.status === "COMPLETED" ? "completed" : "failed";
  }

  #stopAtDeadline(): (() => void) | null {
    const { run, clock } = this.#claimed;
    const { runId, deadlineAt } = run;
    if (deadlineAt === null) return null;
    const stop = (): void => this.stop(new RunTimeoutError({ runId, deadlineAt }));
    const left = deadlineAt.getTime() - clock().getTime();
    if (left > 0) return callAfter(left, stop);
    stop();
    return null;
  }

  async #endAfter(reason: unknown): Promise<RunEnding> {
    const { logger, run, store, clock } = this.#claimed;
    const { runId, workflowId } = run;
    if (isLoss(reason)) return this.#endLost(reason);
    if (reason instanceof RunCancelledError) {
      await this.#settle("cancelled", async () => {
        if (isBusy(reason.cause)) await this.#cancelUnlessLost();
        await cancelSteps(store, [runId], clock(), this.#stage);
      });
      return "cancelled";
    }
    if (reason instanceof EngineClosedError) {
      return this.#settle("released", () => this.#release());
    }
    const why = reasonToFail(reason);
    if (why !== null) {
      const level = reason instanceof RunTimeoutError ? "warn" : "error";
      logger[level]({ runId, workflowId, err: reason }, `run failed because ${why}`);
      return this.#settle("failed", () => this.#fail(reason));
    }
    logger.error({ runId, workflowId, err: reason }, "run stops because the store failed");
    return "troubled";
  }

  /** Cancels the run, which the engine could not do while a transaction of a step locked the database. */
  async #cancelUnlessLost(): Promise<void> {
    const { store, run, fence } = this.#claimed;
    const cancelled = store.updateRun(run.runId, { status: "CANCELLED" }, fence);
    await cancelled.catch((error: unknown) => {
      if (!isLoss(error)) throw error;
    });
  }

  /** Stores how the run ends here. If the store does not accept it, the lease expires and the next worker repairs the run. */
  async #settle(ending: RunEnding, store: () => Promise<void>): Promise<RunEnding> {
    const { logger, run, leaseMs } = this.#claimed;
    try {
      await retryWhileBusy(store, leaseMs, this.#closer);
      return ending;
    } catch (error) {
      if (isLoss(error)) return this.#endLost(error);
      logger.warn({ runId: run.runId, err: error, ending }, "the end of a run could not be stored");
      // Another try would run its steps again and be refused again.
      if (isRefusal(error)) this.#drainer.abort();
      return "troubled";
    }
  }

  /** Lets other workers claim the run. Attempts without a row get one, so that they restart with the same number. */
  async #release(): Promise<void> {
    const { store, run, fence } = this.#claimed;
    const { runId } = run;
    if (this.#stage !== null) {
      const event = { ...describeProgress(this.#stage), released: { wakeAt: null } };
      await store.batch((write) => writeEvent(write, this.#claimed, event));
      return;
    }
    const unbegun = this.#unbegunSteps(await store.listStepExecutions(runId, { payloads: false }));
    await store.batch((write) => {
      write.updateRun(runId, { status: "PENDING" }, fence);
      for (const step of unbegun) write.createStepExecution(step);
    });
  }

  /**
   * Rows for the steps of the first stage if no step has begun in this claim. Without rows, the next claim would assume
   * that this one has begun them.
   */
  #unbegunSteps(rows: readonly StepExecutionSummary[]): NewStepExecution[] {
    const { run, workflow } = this.#claimed;
    const { runId, attempt, lostLeases } = run;
    const [first] = workflow.plan.stages;
    if (this.#hasBegun || rows.length > 0 || first === undefined || hasConditions(first)) return [];
    // Claims that were lost may have begun them.
    const begun = Math.max(0, attempt - Math.max(1, lostLeases));
    return first.steps.map(({ index: executionIndex, definition: { id: stepId } }) => {
      return { runId, stepId, executionIndex, attempt: begun };
    });
  }

  /** Finds out how a run ended that this worker no longer holds. Its last write may have succeeded without an answer. */
  async #endLost(error: Error): Promise<RunEnding> {
    const { logger, run, store, workerId, leaseMs } = this.#claimed;
    const { runId, workflowId, attempt } = run;
    try {
      const find = () => store.findRun(runId, { payloads: false });
      const stored = await retryWhileBusy(find, leaseMs, this.#closer);
      const isOurs = stored?.workerId === workerId && stored.attempt === attempt;
      if (isOurs && stored.status === "COMPLETED") return "completed";
      if (isOurs && stored.status === "FAILED") return "failed";
      if (stored?.status === "CANCELLED") return "cancelled";
    } catch (failure) {
      logger.warn({ runId, err: failure }, "a lost run could not be read");
    }
    logger.warn({ runId, workflowId, err: error }, "run is no longer held by this worker");
    return "lost";
  }

  async #fail(reason: unknown): Promise<void> {
    const { store, run, clock, fence } = this.#claimed;
    const { runId } = run;
    const error = describeError(reason);
    const end = (
      rows: readonly StepExecutionSummary[],
      unbegun: readonly NewStepExecution[],
    ): Promise<void> => {
      // Rows that the store has refused are not written again.
      const stage = isRefusal(reason) ? null : this.#stage;
      return store.batch((write) => {
        write.updateRun(runId, { status: "FAILED", error }, fence);
        writeCancelled(write, runId, clock(), rows, stage);
        for (const step of unbegun) write.createStepExecution({ ...step, status: "CANCELLED" });
      });
    };
    try {
      const rows = await store.listStepExecutions(runId, { payloads: false });
      await end(rows, this.#unbegunSteps(rows));
    } catch (failure) {
      // Rows that cannot be read or written stay unchanged.
      if (!isRefusal(failure) && !(failure instanceof CorruptRowError)) throw failure;
      await end([], []);
    }
  }
}

/** Why an error that stops a run fails it; null if the run may continue later. */
function reasonToFail(error: unknown): string | null {
  if (error instanceof RunTimeoutError) return "it did not end in time";
  if (error instanceof RunAbandonedError) return "too many workers lost their lease on it";
  if (error instanceof CorruptRowError || error instanceof StepOutputNotFoundError) {
    return "it cannot be read";
  }
  return isRefusal(error) ? "the store refused a row of it" : null;
}
