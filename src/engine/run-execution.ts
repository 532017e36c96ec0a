import {
  CorruptRowError,
  EngineClosedError,
  LeaseLostError,
  RunCancelledError,
  RunNotFoundError,
  RunTimeoutError,
  RunTransitionError,
  StepOutputNotFoundError,
} from "../errors.ts";
import type { WorkflowRunSummary } from "../schema/rows.ts";
import type { Clock } from "../store/clock.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import type { KnownInput } from "./known-inputs.ts";
import type { BoundLogger } from "./logger.ts";
import { callAfter } from "./pauses.ts";
import { cancelOpenSteps } from "./run-cancellation.ts";
import { RunJournal } from "./run-journal.ts";
import { RunLedger } from "./run-ledger.ts";
import { loadRun } from "./run-loading.ts";
import type { RunReports } from "./run-reports.ts";
import { createConditionContext, type RunScope } from "./run-scope.ts";
import { enterStage, type Entry } from "./stage-entry.ts";
import { StageExecution, type StageEnd } from "./stage-execution.ts";
import { describeError } from "./step-errors.ts";
import type { StageRun } from "./step-run.ts";
import type { Workflow } from "./workflow-builder.ts";

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
  /** Nobody has ever claimed it before: it has no history. */
  readonly isNew: boolean;
  /** What the run was started with, where that is known without reading it. */
  readonly knownInput: KnownInput | null;
  readonly workerId: string;
  /** For how long a store that is busy or away is asked again. */
  readonly patienceMs: number;
  readonly logger: BoundLogger;
  readonly reports: RunReports;
  readonly clock: Clock;
}

/** Brings one claimed run from where it stands to its end, as far as this worker can. */
export class RunExecution {
  readonly #options: RunExecutionOptions;
  readonly #stopper = new AbortController();
  readonly #drainer = new AbortController();
  readonly #journal: RunJournal;
  /** The stage under way, for what has to be shown of it. */
  #current: { readonly stage: StageRun; readonly ledger: RunLedger } | null = null;
  #wakesAt: Date | null = null;

  constructor(options: RunExecutionOptions) {
    const { store, run, workerId, patienceMs } = options;
    this.#options = options;
    this.#journal = new RunJournal({
      store,
      runId: run.runId,
      workerId,
      patienceMs,
      signal: this.#stopper.signal,
      stop: (reason) => this.stop(reason),
    });
  }

  /** Resolves when nothing of the run happens here any more, but for steps that ignore their signal. */
  async run(): Promise<RunEnding> {
    const cancel = this.#stopAtDeadline();
    try {
      this.#stopper.signal.throwIfAborted();
      return await this.#run();
    } catch (error) {
      return await this.#endAfter(
        this.#stopper.signal.aborted ? this.#stopper.signal.reason : error,
      );
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
    this.#stopper.abort(reason);
    this.#drainer.abort(reason);
  }

  /** Lets the steps under way end, and begins none after them. */
  drain(): void {
    this.#drainer.abort();
  }

  /** Writes the rows of the first steps, where nothing else was written for so long that it is worth it. */
  async show(): Promise<void> {
    const current = this.#current;
    if (current === null || !current.ledger.hasDeferredRows(current.stage)) return;
    await this.#journal.exclusive(async () => {
      const { stage, ledger } = current;
      if (this.#current !== current || !ledger.hasDeferredRows(stage)) return;
      const { writes, committed } = ledger.record({ stage });
      await this.#journal.commit(writes);
      committed();
    });
  }

  async #run(): Promise<RunEnding> {
    const { store, workflow, run, workerId, clock, reports } = this.#options;
    const loaded = await loadRun(this.#options);
    reports.loaded(loaded.context);
    const ledger = new RunLedger({
      runId: run.runId,
      workerId,
      totalSteps: workflow.plan.stepIds.size,
      endedSteps: loaded.endedSteps,
      clock,
      onPassed: (row) => reports.passed(row),
    });
    let at: StageEnd;
    if (loaded.kind === "enter") {
      const { index, input, failedStepId } = loaded;
      const entry = await this.#enter(index, input, store, new Map(), failedStepId);
      at = entry.next;
      if ("status" in at) await this.#commit(ledger.record({ stage: null, entry }));
      else {
        ledger.defer(entry);
        const reopened = at.steps.filter(({ stored }) => stored);
        if (reopened.length > 0) await this.#commit(ledger.record({ stage: at, reopened }));
      }
    } else {
      at = loaded.stageRun;
      const { stageRun: stage, reopened } = loaded;
      if (reopened.length > 0) await this.#commit(ledger.record({ stage, reopened }));
    }
    const scope = this.#scope(ledger);
    while (typeof at === "object" && !("status" in at)) {
      this.#current = { stage: at, ledger };
      const stage = new StageExecution(scope, at, (...next) => this.#enter(...next));
      at = await stage.run();
      if (at === "waiting") await this.#leave(stage.waitsUntil);
    }
    if (typeof at === "string") return "released";
    return at.status === "COMPLETED" ? "completed" : "failed";
  }

  #commit({ writes, committed }: ReturnType<RunLedger["record"]>): Promise<void> {
    return this.#journal.exclusive(async () => {
      await this.#journal.commit(writes);
      committed();
    });
  }

  #scope(ledger: RunLedger): RunScope {
    return {
      ...this.#options,
      ledger,
      journal: this.#journal,
      signal: this.#stopper.signal,
      drainSignal: this.#drainer.signal,
      stop: (reason) => this.stop(reason),
    };
  }

  #enter(
    index: number,
    input: unknown,
    reader: WorkflowStore,
    fresh: ReadonlyMap<string, unknown>,
    failedStepId: string | null = null,
  ): Promise<Entry> {
    const { workflow, run, clock } = this.#options;
    const { signal } = this.#stopper;
    const position = { index, input, runId: run.runId, now: clock(), failedStepId, signal };
    return enterStage(workflow.plan, position, (stepId) =>
      createConditionContext(this.#options, stepId, reader, fresh),
    );
  }

  /** Gives the run back, not to be claimed before `wakeAt`. */
  async #leave(wakeAt: Date | null): Promise<void> {
    await this.#journal.exclusive(() =>
      this.#journal.commit({ run: { status: "PENDING", wakeAt }, steps: () => {} }),
    );
    this.#wakesAt = wakeAt;
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
    this.stop(reason);
    const { logger, run, store, workerId, clock } = this.#options;
    const { runId } = run;
    const fields = { runId, workflowId: run.workflowId, err: reason };
    if (reason instanceof RunCancelledError) {
      await this.#attempt("marking the steps of a cancelled run", () =>
        cancelOpenSteps(store, { runId, workerId }, clock()),
      );
      return "cancelled";
    }
    if (reason instanceof LeaseLostError || reason instanceof RunNotFoundError) {
      logger.warn(fields, "run is no longer held by this worker");
      return "lost";
    }
    if (reason instanceof RunTimeoutError) {
      logger.warn(fields, "run has not ended in time and has failed");
      return this.#failInTime(reason);
    }
    if (reason instanceof EngineClosedError) {
      await this.#attempt("giving back a run", () => this.#release());
      return "released";
    }
    if (reason instanceof CorruptRowError || reason instanceof StepOutputNotFoundError) {
      logger.error(fields, "run cannot be read and has failed");
      await this.#attempt("failing a run", () => this.#fail(reason));
      return "failed";
    }
    logger.error(fields, "run stops, as the store failed");
    return "troubled";
  }

  /** The run goes on without what this does: the lease runs out, or the next look at the run finds the same. */
  async #attempt(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const { logger, run } = this.#options;
      logger.warn({ runId: run.runId, err: error }, `${what} did not succeed`);
    }
  }

  async #release(): Promise<void> {
    const { store, run, workerId } = this.#options;
    await store.releaseLease({ runId: run.runId, workerId });
  }

  async #fail(reason: Error): Promise<void> {
    const { store, run, workerId } = this.#options;
    const error = describeError(reason);
    await store.updateRun(run.runId, { status: "FAILED", error }, { workerId });
  }

  /** Fails the run and cancels its steps, unless it has ended while its time ran out. */
  async #failInTime(reason: RunTimeoutError): Promise<RunEnding> {
    const { store, run, workerId, clock } = this.#options;
    const { runId } = run;
    await this.#journal.settled();
    try {
      await cancelOpenSteps(store, { runId, workerId }, clock(), (write) =>
        write.updateRun(runId, { status: "FAILED", error: describeError(reason) }),
      );
      return "failed";
    } catch (error) {
      if (error instanceof RunTransitionError && error.from === "COMPLETED") return "completed";
      if (error instanceof RunTransitionError && error.from === "CANCELLED") return "cancelled";
      this.#options.logger.warn({ runId, err: error }, "failing a run did not succeed");
      return "lost";
    }
  }
}
