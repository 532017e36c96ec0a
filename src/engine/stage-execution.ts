import {
  InvalidArgumentError,
  InvalidValueError,
  StepValidationError,
  UnsupportedError,
} from "../errors.ts";
import { retryDelayMs } from "../model/backoff.ts";
import type { HostTransactions } from "../store/transactions.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { breathe, pause } from "./pauses.ts";
import type { Transition } from "./run-ledger.ts";
import type { AttemptReport } from "./run-reports.ts";
import { readOutput, type RunScope } from "./run-scope.ts";
import { copyJson, type Entry } from "./stage-entry.ts";
import { StepAttempt } from "./step-attempt.ts";
import { describeFailure } from "./step-errors.ts";
import {
  firstFailure,
  forgetOutcome,
  hasEnded,
  recordOutcome,
  type Outcome,
  type StageRun,
  type StepRun,
} from "./step-run.ts";
import type { StepTransaction } from "./step-transaction.ts";
import { combineOutputs } from "./workflow-plan.ts";

/** Finds what comes after a stage, from its outputs; `reader` is where state and outputs are read. */
export type EnterNext = (
  index: number,
  input: unknown,
  reader: WorkflowStore,
  fresh: ReadonlyMap<string, unknown>,
) => Promise<Entry>;

/**
 * How the execution of a stage ends: with what comes next, stored already; with the run given back, as the worker
 * closes; or, for the same reason, with steps that wait for their next attempt.
 */
export type StageEnd = Entry["next"] | "given back" | "waiting";

/** Runs the steps of one stage side by side, each until it has ended, and stores what becomes of them. */
export class StageExecution {
  readonly #scope: RunScope;
  readonly #stage: StageRun;
  readonly #enterNext: EnterNext;
  #end: StageEnd = "waiting";

  constructor(scope: RunScope, stage: StageRun, enterNext: EnterNext) {
    this.#scope = scope;
    this.#stage = stage;
    this.#enterNext = enterNext;
  }

  /** @throws the reason, when the run stops here. */
  async run(): Promise<StageEnd> {
    const results = await Promise.allSettled(this.#stage.steps.map((step) => this.#runStep(step)));
    this.#scope.signal.throwIfAborted();
    for (const result of results) if (result.status === "rejected") throw result.reason;
    return this.#end;
  }

  /** Brings the step to its end, or gives up waiting for its next attempt when the engine closes. */
  async #runStep(step: StepRun): Promise<void> {
    const { retry, id } = step.planned.definition;
    while (await this.#isTimeFor(step)) {
      const report = this.#scope.reports.beginAttempt(id, step.attempt);
      let delayMs: number;
      try {
        const failure = await this.#attempt(step, report);
        if (failure === null) return;
        const retries = isWorthRetrying(failure.error) && step.attempt <= retry.maxRetries;
        const outcome: Outcome = {
          status: retries ? "RETRYING" : "FAILED",
          failure: describeFailure(failure.error, id, step.attempt),
        };
        await this.#settle(step, outcome);
        delayMs = retryDelayMs(retry, step.attempt);
        report.failed(failure.error, retries ? delayMs : null);
        if (!retries) return;
      } finally {
        report.close();
      }
      step.notBefore = new Date(this.#scope.clock().getTime() + delayMs);
      step.attempt += 1;
    }
  }

  async #isTimeFor({ notBefore }: StepRun): Promise<boolean> {
    const { clock, drainSignal, signal } = this.#scope;
    if (notBefore === null) return true;
    const ms = notBefore.getTime() - clock().getTime();
    if (ms > 0) await pause(ms, drainSignal);
    signal.throwIfAborted();
    return !drainSignal.aborted;
  }

  /** Null when the step has completed and that is stored; otherwise why this attempt failed. */
  async #attempt(
    step: StepRun,
    report: AttemptReport,
  ): Promise<{ readonly error: unknown } | null> {
    const { signal, clock, run } = this.#scope;
    const { definition } = step.planned;
    await breathe();
    signal.throwIfAborted();
    if (step.attempt === 1 && step.startedAt === null) step.startedAt = clock();
    const attempt = new StepAttempt({
      ...this.#scope,
      definition,
      runId: run.runId,
      attempt: step.attempt,
      runSignal: signal,
      readOutput: (store, stepId) => readOutput(this.#scope, store, stepId),
    });
    try {
      const returned = await report.within(() => attempt.invoke(copyJson(this.#stage.input)));
      const transaction = attempt.ctx.takeTransaction(returned);
      if (transaction === null) {
        const output = await attempt.race(definition.parseOutput(returned));
        attempt.end();
        await this.#settle(step, { status: "COMPLETED", output });
      } else {
        const { host, work } = transaction;
        const traced = (tx: unknown) => report.within(() => work(tx));
        await this.#settleWithin(host, step, attempt, traced);
      }
      report.completed();
      return null;
    } catch (error) {
      signal.throwIfAborted();
      return { error };
    } finally {
      attempt.end();
    }
  }

  /** @throws {InvalidValueError} when the output cannot be stored, or not be passed on. */
  #settle(step: StepRun, outcome: Outcome): Promise<void> {
    const { journal, store } = this.#scope;
    return this.#exclusively(step, async () => {
      const transition = await this.#transition(step, outcome, store);
      await journal.commit(transition.writes);
      return transition;
    });
  }

  /** Completes the step in the same commit as the work of its transaction. @throws what that throws. */
  #settleWithin(
    host: HostTransactions,
    step: StepRun,
    attempt: StepAttempt,
    work: StepTransaction<unknown>["work"],
  ): Promise<void> {
    const { definition } = step.planned;
    return this.#exclusively(step, () =>
      this.#scope.journal.commitWith(host, async (hostTransaction, tx) => {
        const working = attempt.ctx.within(tx, () => work(hostTransaction));
        const returned = await attempt.race(working);
        const output = await attempt.race(definition.parseOutput(returned));
        return this.#transition(step, { status: "COMPLETED", output }, tx);
      }),
    );
  }

  /** Commits on what is stored so far; a transition that could not be committed has not happened. */
  #exclusively(step: StepRun, commit: () => Promise<Transition>): Promise<void> {
    return this.#scope.journal.exclusive(async () => {
      try {
        const transition = await commit();
        transition.committed();
      } catch (error) {
        forgetOutcome(this.#stage, step);
        throw error;
      }
    });
  }

  async #transition(step: StepRun, outcome: Outcome, reader: WorkflowStore): Promise<Transition> {
    const { ledger, drainSignal } = this.#scope;
    const stage = this.#stage;
    recordOutcome(stage, step, outcome);
    const settled = { step, outcome };
    if (outcome.status === "RETRYING" || !hasEnded(stage)) return ledger.record({ stage, settled });
    const entry = await this.#findNext(reader);
    const givenBack = drainSignal.aborted && !("status" in entry.next);
    const { writes, committed } = ledger.record({ stage, settled, entry, givenBack });
    return {
      writes,
      committed: () => {
        committed();
        this.#end = givenBack ? "given back" : entry.next;
      },
    };
  }

  async #findNext(reader: WorkflowStore): Promise<Entry> {
    const stage = this.#stage;
    const failure = firstFailure(stage);
    if (failure !== null) {
      return { passed: [], nullOutputs: [], next: { status: "FAILED", error: failure.error } };
    }
    const input = combineOutputs(stage.stage, (stepId) => stage.outputs.get(stepId));
    try {
      return await this.#enterNext(stage.index + 1, input, reader, stage.outputs);
    } catch (error) {
      // A condition could not read from the store: no fault of the step that was about to end.
      this.#scope.stop(error);
      throw error;
    }
  }
}

/** What is wrong with a value or with the step itself stays wrong, however often it is tried. */
function isWorthRetrying(error: unknown): boolean {
  return !(
    error instanceof StepValidationError ||
    error instanceof InvalidValueError ||
    error instanceof InvalidArgumentError ||
    error instanceof UnsupportedError
  );
}
