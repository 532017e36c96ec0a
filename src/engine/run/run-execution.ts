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
import type { KnownInput } from "./known-inputs.ts";
import type { BoundLogger } from "../observe/logger.ts";
import { Stopper } from "../../async/abort.ts";
import { callAfter, pause } from "../../async/pause.ts";
import { Backoff } from "../../async/retry.ts";
import { retryWhileBusy } from "../pauses.ts";
import { cancelSteps, writeCancelled } from "./run-cancellation.ts";
import { isLoss, RunJournal } from "./run-journal.ts";
import { loadRun } from "./run-loading.ts";
import type { RunReports } from "../observe/run-observer.ts";
import { createConditionContext, type RunScope } from "./run-scope.ts";
import type { RunEvent } from "./run-writes.ts";
import { enterStage, type Entry } from "./stage-entry.ts";
import { StageExecution } from "./stage-execution.ts";
import { countEnded, type RunResult, type StagePosition, type StageRun } from "./stage-run.ts";
import { describeError } from "./step-errors.ts";
import type { Workflow } from "../definition/workflow-builder.ts";

/**
 * How the execution of a run ends here. `released`: given back for another worker. `lost`: another one has it, or
 * it is gone. `troubled`: the store failed; what is committed is known only by reading it again.
 */
export type RunEnding = "completed" | "failed" | "cancelled" | "released" | "lost" | "troubled";

export interface RunExecutionOptions {
  readonly store: WorkflowStore;
  readonly workflow: Workflow;
  /** As claimed. */
  readonly run: WorkflowRunSummary;
  /** What the run was started with, where that is known without reading it. */
  readonly knownInput: KnownInput | null;
  readonly workerId: string;
  /** For how long a store that is busy or away is asked again. */
  readonly patienceMs: number;
  readonly logger: BoundLogger;
  readonly reports: RunReports;
  readonly clock: Clock;
}

/** How often a run whose store failed is taken up again before its lease is left to run out. */
const maxTries = 5;

/** Brings one claimed run from where it stands to its end, as far as this worker can. */
export class RunExecution {
  readonly #options: RunExecutionOptions;
  readonly #fence: Fence;
  /** Aborts when nothing more is to be done of the run here; the reason says why. */
  readonly #stopper = new Stopper();
  readonly #drainer = new Stopper();
  /** Aborts when the engine waits no longer for what is left to be stored. */
  readonly #closer = new Stopper();
  /** The stage under way. */
  #stage: StageRun | null = null;
  #wakesAt: Date | null = null;

  constructor(options: RunExecutionOptions) {
    this.#options = options;
    this.#fence = { workerId: options.workerId, attempt: options.run.attempt };
  }

  /** Resolves when nothing of the run happens here any more, but for steps that ignore their signal. */
  async run(): Promise<RunEnding> {
    const cancel = this.#stopAtDeadline();
    const backoff = new Backoff(50, 1000);
    try {
      for (let tries = 1; ; tries++) {
        const ending = await this.#try(tries === 1);
        if (ending !== "troubled" || tries === maxTries || this.#drainer.aborted) return ending;
        await pause(backoff.next(), this.#drainer);
      }
    } finally {
      cancel();
    }
  }

  /** When the run goes on that was released here; null when that may be at once. */
  get wakesAt(): Date | null {
    return this.#wakesAt;
  }

  /** Ends the execution at once: from now on nothing is written, and the steps' signals abort. */
  stop(reason: unknown): void {
    if (reason instanceof EngineClosedError || reason instanceof StoreClosedError) {
      this.#closer.abort(reason);
    }
    this.#drainer.abort(reason);
    this.#stopper.abort(reason);
  }

  /** Lets the steps under way end, and begins none after them. */
  drain(): void {
    this.#drainer.abort();
  }

  /** Stops the run because a write of it, or its heartbeat, was refused: nobody holds a cancelled run. */
  lose(error: Error): void {
    const { runId } = this.#options.run;
    const isCancelled = error instanceof LeaseLostError && error.status === "CANCELLED";
    this.stop(isCancelled ? new RunCancelledError({ runId }, { cause: error }) : error);
  }

  /** From what is stored to where this worker leaves it. */
  async #try(isFirst: boolean): Promise<RunEnding> {
    const { store, run, workflow, clock, patienceMs } = this.#options;
    const stopper = new Stopper();
    const stop = (): void => stopper.abort(this.#stopper.reason);
    const lose = (error: Error): void => this.lose(error);
    const journal = new RunJournal({
      store,
      author: { runId: run.runId, totalSteps: workflow.plan.stepIds.size, fence: this.#fence },
      clock,
      patienceMs,
      stopper,
      lose,
    });
    this.#stopper.addEventListener("abort", stop);
    try {
      this.#stopper.throwIfAborted();
      return await this.#advance(isFirst, {
        ...this.#options,
        fence: this.#fence,
        journal,
        signal: stopper,
        drainSignal: this.#drainer,
        lose,
      });
    } catch (error) {
      stopper.abort(error);
      await journal.settled();
      return await this.#endAfter(stopper.reason);
    } finally {
      this.#stopper.removeEventListener("abort", stop);
    }
  }

  async #advance(isFirst: boolean, scope: RunScope): Promise<RunEnding> {
    const { run, reports, knownInput } = this.#options;
    this.#stage = null;
    const loaded = await loadRun({
      ...this.#options,
      isNew: isFirst && run.attempt === 1,
      knownInput: isFirst ? knownInput : null,
    });
    reports.loaded(loaded.context);
    let { failedStepId, reopened } = loaded;
    let at: StageRun | StagePosition = loaded.at;
    for (;;) {
      let stage: StageRun;
      if ("steps" in at) stage = at;
      else {
        const { passed, next, endedSteps } = await this.#enter(at, failedStepId, scope);
        if ("status" in next) {
          await this.#commit(scope, { endedSteps, passed, stage: null, begun: [], result: next });
          return endingOf(next);
        }
        stage = next;
        reopened = stage.steps.filter(({ stored }) => stored);
        failedStepId = null;
      }
      this.#stage = stage;
      if (reopened.length > 0) {
        await this.#commit(scope, { ...stateOf(stage), passed: stage.passed, reopened });
        stage.passed.length = 0;
        for (const step of reopened) step.shown = true;
        reopened = [];
      }
      const execution = new StageExecution(scope, stage);
      const end = await execution.run();
      if (end === "given back") return "released";
      if (end === "waiting") {
        const wakeAt = execution.waitsUntil;
        await this.#commit(scope, { ...stateOf(stage), passed: [], givenBack: { wakeAt } });
        this.#wakesAt = wakeAt;
        return "released";
      }
      if ("status" in end) return endingOf(end);
      at = end;
    }
  }

  /** Asks the conditions at the position, again as long as the store fails under them. */
  #enter(position: StagePosition, failedStepId: string | null, scope: RunScope): Promise<Entry> {
    const { signal } = scope;
    const contextOf = (stepId: string) => createConditionContext(scope, stepId);
    const asked = { failedStepId, signal, contextOf };
    return retryWhileBusy(() => enterStage(scope.workflow.plan, position, asked), {
      patienceMs: this.#options.patienceMs,
      signal,
    });
  }

  #commit({ journal, reports }: RunScope, event: RunEvent): Promise<void> {
    return journal.exclusive(async () => {
      await journal.commit(event);
      reports.passed(event.passed);
    });
  }

  /** Stops the run when its time is up. Returns what calls that off. */
  #stopAtDeadline(): () => void {
    const { run, clock } = this.#options;
    const { runId, deadlineAt } = run;
    if (deadlineAt === null) return () => {};
    const stop = (): void => this.stop(new RunTimeoutError({ runId, deadlineAt }));
    const left = deadlineAt.getTime() - clock().getTime();
    if (left > 0) return callAfter(left, stop);
    stop();
    return () => {};
  }

  async #endAfter(reason: unknown): Promise<RunEnding> {
    const { logger, run, store, clock } = this.#options;
    const { runId, workflowId } = run;
    const fields = { runId, workflowId, err: reason };
    if (isLoss(reason)) return this.#endLost(reason);
    if (reason instanceof RunCancelledError) {
      const mark = () => cancelSteps(store, runId, clock(), this.#stage);
      await this.#attempt("marking the steps of a cancelled run", mark);
      return "cancelled";
    }
    if (reason instanceof RunTimeoutError) {
      logger.warn(fields, "run has not ended in time and has failed");
      return this.#fail(reason);
    }
    if (reason instanceof RunAbandonedError) {
      logger.error(fields, "run has cost too many workers their lease and has failed");
      return this.#fail(reason);
    }
    if (reason instanceof EngineClosedError) {
      await this.#attempt("giving back a run", () => store.releaseLease({ runId, ...this.#fence }));
      return "released";
    }
    if (reason instanceof CorruptRowError || reason instanceof StepOutputNotFoundError) {
      logger.error(fields, "run cannot be read and has failed");
      return this.#fail(reason);
    }
    logger.error(fields, "run stops, as the store failed");
    return "troubled";
  }

  /** How a run has ended that is not held here any more: its last write may have been stored without an answer. */
  async #endLost(error: Error): Promise<RunEnding> {
    const { logger, run, workerId } = this.#options;
    const { runId, workflowId } = run;
    try {
      const { status, workerId: holder, attempt } = await this.#look();
      const isOurs = holder === workerId && attempt === run.attempt;
      if (isOurs && status === "COMPLETED") return "completed";
      if (isOurs && status === "FAILED") return "failed";
      if (status === "CANCELLED") return "cancelled";
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
        // What cannot be read is left as it is.
        const rows = reason instanceof CorruptRowError ? [] : await store.listStepExecutions(runId);
        await store.batch((write) => {
          write.updateRun(runId, { status: "FAILED", error }, this.#fence);
          writeCancelled(write, { runId, rows, stage: this.#stage, now: clock() });
        });
      });
      return "failed";
    } catch (failure) {
      if (isLoss(failure)) return this.#endLost(failure);
      logger.warn({ runId, err: failure }, "failing a run did not succeed");
      return "troubled";
    }
  }

  /** The run as it is stored now. */
  #look(): Promise<WorkflowRunSummary> {
    const { store, run } = this.#options;
    return this.#persist(() => store.getRun(run.runId));
  }

  #persist<T>(work: () => Promise<T>): Promise<T> {
    const { patienceMs } = this.#options;
    return retryWhileBusy(work, { patienceMs, signal: this.#closer });
  }

  /** The run goes on without what this does: the lease runs out, or the next look at the run finds the same. */
  async #attempt(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await this.#persist(work);
    } catch (error) {
      const { logger, run } = this.#options;
      logger.warn({ runId: run.runId, err: error }, `${what} did not succeed`);
    }
  }
}

/** Nothing new has happened in the stage. */
function stateOf(stage: StageRun): Pick<RunEvent, "stage" | "endedSteps" | "begun"> {
  return { stage, endedSteps: countEnded(stage), begun: [] };
}

function endingOf({ status }: RunResult): RunEnding {
  return status === "COMPLETED" ? "completed" : "failed";
}
