import { markChecked } from "../../arguments.ts";
import { Stopper } from "../../async/abort.ts";
import { callAfter, pause } from "../../async/pause.ts";
import { Backoff } from "../../async/retry.ts";
import {
  CorruptRowError,
  EngineClosedError,
  LeaseLostError,
  RunAbandonedError,
  RunCancelledError,
  RunNotFoundError,
  RunTimeoutError,
  StepOutputNotFoundError,
  StoreClosedError,
} from "../../errors.ts";
import type { Fence } from "../../model/transitions.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { Clock } from "../../store/clock.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import type { Workflow } from "../definition/workflow-builder.ts";
import type { RunEnding } from "../observe/events.ts";
import type { BoundLogger } from "../observe/logger.ts";
import type { RunObserver } from "../observe/run-observer.ts";
import type { KnownInput } from "../started-runs.ts";
import { retryWhileBusy } from "../store-retry.ts";
import { cancelSteps, writeCancelled } from "./run-cancellation.ts";
import { writeEvent, type EventAuthor, type RunEvent } from "./run-events.ts";
import { loadRun } from "./run-loading.ts";
import { createConditionContext, type RunScope } from "./run-scope.ts";
import { isLoss, RunWriter } from "./run-writer.ts";
import { enterStage } from "./stage-entry.ts";
import { StageExecution } from "./stage-execution.ts";
import {
  countEnded,
  isUnsaved,
  type RunResult,
  type StagePosition,
  type StageRun,
} from "./stage-run.ts";
import { describeError } from "./step-errors.ts";

export interface RunExecutionOptions {
  readonly store: WorkflowStore;
  readonly workflow: Workflow;
  /** The run as it was claimed. */
  readonly run: WorkflowRunSummary;
  /** The input if this process knows it, otherwise null. */
  readonly knownInput: KnownInput | null;
  readonly workerId: string;
  /** How long a store that is busy or unreachable is retried. */
  readonly retryMs: number;
  readonly logger: BoundLogger;
  readonly observer: RunObserver;
  readonly clock: Clock;
}

/** How often a run is resumed after a failure of the store, before its lease is left to expire. */
const maxTries = 5;

/** Runs one claimed run until it ends or leaves this process. */
export class RunExecution {
  readonly #options: RunExecutionOptions;
  readonly #fence: Fence;
  readonly #author: EventAuthor;
  /** Aborts when the run stops in this process; the reason says why. */
  readonly #stopper = new Stopper();
  readonly #drainer = new Stopper();
  /** Aborts when the engine no longer waits for the last writes. */
  readonly #closer = new Stopper();
  #stage: StageRun | null = null;
  #wakesAt: Date | null = null;

  constructor(options: RunExecutionOptions) {
    this.#options = options;
    const { run, workflow, workerId } = options;
    this.#fence = markChecked({ workerId, attempt: run.attempt });
    const totalSteps = workflow.plan.stepIds.size;
    this.#author = { runId: run.runId, totalSteps, fence: this.#fence };
  }

  /** Resolves when the run has left this process. Steps that ignore their signal may still run. */
  async run(): Promise<RunEnding> {
    const cancel = this.#stopAtDeadline();
    try {
      const ending = await this.#try(true);
      return ending === "troubled" ? await this.#resume() : ending;
    } finally {
      cancel?.();
    }
  }

  /** When the released run continues; null if it can continue at once. */
  get wakesAt(): Date | null {
    return this.#wakesAt;
  }

  /** Ends the execution: nothing more is written, and the steps' signals abort. */
  stop(reason: unknown): void {
    if (reason instanceof EngineClosedError || reason instanceof StoreClosedError) {
      this.#closer.abort(reason);
    }
    this.#drainer.abort(reason);
    this.#stopper.abort(reason);
  }

  /** Lets the running steps end, and begins no others. */
  drain(): void {
    this.#drainer.abort();
  }

  /** Stops the run because a write or a heartbeat was refused. */
  lose(error: Error): void {
    const { runId } = this.#options.run;
    const isCancelled = error instanceof LeaseLostError && error.status === "CANCELLED";
    this.stop(isCancelled ? new RunCancelledError({ runId }, { cause: error }) : error);
  }

  /** Tries again after failures of the store. */
  async #resume(): Promise<RunEnding> {
    const backoff = new Backoff(50, 1000);
    for (let tries = 2; tries <= maxTries && !this.#drainer.aborted; tries++) {
      await pause(backoff.next(), this.#drainer);
      const ending = await this.#try(false);
      if (ending !== "troubled") return ending;
    }
    return "troubled";
  }

  /** Runs the run from its stored state. */
  async #try(isFirst: boolean): Promise<RunEnding> {
    const { store, run, workflow, clock, retryMs, logger, observer } = this.#options;
    const fence = this.#fence;
    // A failure of the store ends this try only.
    const stopper = new Stopper();
    const stop = (): void => stopper.abort(this.#stopper.reason);
    const lose = (error: Error): void => this.lose(error);
    const author = this.#author;
    const writer = new RunWriter({ store, author, clock, retryMs, stopper, lose });
    const signals = { signal: stopper, drainSignal: this.#drainer };
    const scope = {
      store,
      workflow,
      run,
      fence,
      logger,
      observer,
      clock,
      writer,
      lose,
      ...signals,
    };
    this.#stopper.addEventListener("abort", stop);
    try {
      this.#stopper.throwIfAborted();
      return await this.#advance(isFirst, scope);
    } catch (error) {
      stopper.abort(error);
      await writer.settled();
      return await this.#endAfter(stopper.reason);
    } finally {
      this.#stopper.removeEventListener("abort", stop);
    }
  }

  async #advance(isFirst: boolean, scope: RunScope): Promise<RunEnding> {
    const { store, run, observer, workflow, knownInput } = this.#options;
    this.#stage = null;
    const loaded = await loadRun({
      store,
      plan: workflow.plan,
      run,
      isNew: isFirst && run.attempt === 1,
      knownInput: isFirst ? knownInput : null,
    });
    observer.loaded(loaded.context);
    const { failedStepId } = loaded;
    let at: StageRun | RunResult =
      "steps" in loaded.at ? loaded.at : await this.#enter(loaded.at, failedStepId, scope);
    while (!("status" in at)) {
      const stage = at;
      this.#stage = stage;
      const execution = new StageExecution(scope, stage);
      // The engine may have begun to close while the run was read or a condition was asked.
      const end = this.#drainer.aborted ? "waiting" : await execution.run();
      if (end === "released") return "released";
      if (end === "waiting") {
        const released = { wakeAt: execution.waitsUntil };
        // Rows keep the numbers of attempts, which otherwise follow from the number of claims.
        const begun = stage.steps.filter(isUnsaved);
        await this.#commit(scope, { stage, endedSteps: countEnded(stage), begun, released });
        this.#wakesAt = released.wakeAt;
        return "released";
      }
      at = "status" in end || "steps" in end ? end : await this.#enter(end, null, scope);
    }
    return at.status === "COMPLETED" ? "completed" : "failed";
  }

  /** Asks the conditions at the position, again while the store fails, and stores what follows. */
  async #enter(
    position: StagePosition,
    failedStepId: string | null,
    scope: RunScope,
  ): Promise<StageRun | RunResult> {
    const { signal, workflow, observer } = scope;
    const contextOf = (stepId: string) => createConditionContext(scope, stepId);
    const { passed, next, endedSteps } = await retryWhileBusy(
      () => enterStage(workflow.plan, position, { failedStepId, signal, contextOf }),
      { retryMs: this.#options.retryMs, signal },
    );
    if ("status" in next) {
      await this.#commit(scope, { endedSteps, passed, stage: null, begun: [], result: next });
    } else {
      await this.#commit(scope, { endedSteps, passed, stage: next, begun: next.steps });
      for (const step of next.steps) step.row = "current";
    }
    observer.passed(passed);
    return next;
  }

  #commit({ writer }: RunScope, event: RunEvent): Promise<void> {
    return writer.exclusive(() => writer.commit(event));
  }

  /** Stops the run at its deadline, unless the returned function is called before. */
  #stopAtDeadline(): (() => void) | null {
    const { run, clock } = this.#options;
    const { runId, deadlineAt } = run;
    if (deadlineAt === null) return null;
    const stop = (): void => this.stop(new RunTimeoutError({ runId, deadlineAt }));
    const left = deadlineAt.getTime() - clock().getTime();
    if (left > 0) return callAfter(left, stop);
    stop();
    return null;
  }

  async #endAfter(reason: unknown): Promise<RunEnding> {
    const { logger, run, store, clock } = this.#options;
    const { runId, workflowId } = run;
    const fields = { runId, workflowId, err: reason };
    if (isLoss(reason)) return this.#endLost(reason);
    if (reason instanceof RunCancelledError) {
      const cancel = () => cancelSteps(store, runId, clock(), this.#stage);
      await this.#attempt("marking the steps of a cancelled run", cancel);
      return "cancelled";
    }
    if (reason instanceof RunTimeoutError) {
      logger.warn(fields, "run failed because it did not end in time");
      return this.#fail(reason);
    }
    if (reason instanceof RunAbandonedError) {
      logger.error(fields, "run failed because too many workers lost their lease on it");
      return this.#fail(reason);
    }
    if (reason instanceof EngineClosedError) {
      await this.#attempt("releasing a run", () => this.#release());
      return "released";
    }
    if (reason instanceof CorruptRowError || reason instanceof StepOutputNotFoundError) {
      logger.error(fields, "run failed because it cannot be read");
      return this.#fail(reason);
    }
    logger.error(fields, "run stops because the store failed");
    return "troubled";
  }

  /** Gives the run to other workers. An attempt without a row gets one, so that it restarts under its number. */
  async #release(): Promise<void> {
    const { store, run, clock } = this.#options;
    const { runId } = run;
    const stage = this.#stage;
    const begun = stage?.steps.filter(isUnsaved) ?? [];
    if (stage === null || begun.length === 0) {
      return store.releaseLease({ runId, ...this.#fence });
    }
    const event = { stage, begun, endedSteps: countEnded(stage), released: { wakeAt: null } };
    await store.batch((write) => writeEvent(write, this.#author, event, clock()));
  }

  /** How a run ended that this worker no longer holds: its last write may have been stored without an answer. */
  async #endLost(error: Error): Promise<RunEnding> {
    const { logger, run, store, workerId } = this.#options;
    const { runId, workflowId } = run;
    try {
      const stored = await this.#persist(() => store.getRun(runId));
      const isOurs = stored.workerId === workerId && stored.attempt === run.attempt;
      if (isOurs && stored.status === "COMPLETED") return "completed";
      if (isOurs && stored.status === "FAILED") return "failed";
      if (stored.status === "CANCELLED") return "cancelled";
    } catch (failure) {
      if (!(failure instanceof RunNotFoundError)) {
        logger.warn({ runId, err: failure }, "a lost run could not be read");
      }
    }
    logger.warn({ runId, workflowId, err: error }, "run is no longer held by this worker");
    return "lost";
  }

  /** Fails the run and cancels its steps. */
  async #fail(reason: Error): Promise<RunEnding> {
    const { store, run, clock, logger } = this.#options;
    const { runId } = run;
    const error = describeError(reason);
    try {
      await this.#persist(async () => {
        // Rows that cannot be read are left unchanged.
        const rows =
          reason instanceof CorruptRowError
            ? []
            : await store.listStepExecutions(runId, { payloads: false });
        await store.batch((write) => {
          write.updateRun(runId, { status: "FAILED", error }, this.#fence);
          writeCancelled(write, { runId, rows, stage: this.#stage, now: clock() });
        });
      });
      return "failed";
    } catch (failure) {
      if (isLoss(failure)) return this.#endLost(failure);
      logger.warn({ runId, err: failure }, "a run could not be failed");
      return "troubled";
    }
  }

  #persist<T>(work: () => Promise<T>): Promise<T> {
    const { retryMs } = this.#options;
    return retryWhileBusy(work, { retryMs, signal: this.#closer });
  }

  /** Does what the run can do without: its lease expires, or the next worker repairs it. */
  async #attempt(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await this.#persist(work);
    } catch (error) {
      const { logger, run } = this.#options;
      logger.warn({ runId: run.runId, err: error }, `${what} failed`);
    }
  }
}
