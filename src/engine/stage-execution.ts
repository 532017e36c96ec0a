import {
  InvalidArgumentError,
  InvalidValueError,
  StepValidationError,
  UnsupportedError,
} from "../errors.ts";
import { retryDelayMs } from "../model/backoff.ts";
import { earliest } from "../model/times.ts";
import type { HostTransactions } from "../store/transactions.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { breathe, pause } from "./pauses.ts";
import type { Transition } from "./run-ledger.ts";
import type { AttemptReport } from "./run-reports.ts";
import type { RunScope } from "./run-scope.ts";
import { copyJson, type Entry } from "./stage-entry.ts";
import { StepAttempt } from "./step-attempt.ts";
import type { RequestedSleep } from "./step-context.ts";
import { describeFailure, readable } from "./step-errors.ts";
import {
  firstFailure,
  forgetOutcome,
  hasEnded,
  isWaiting,
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

/** A run that waits for longer than this is given back: its place here is worth more than claiming it again. */
const longestStayMs = 5000;

/**
 * How the execution of a stage ends: with what comes next, stored already; with the run given back, as the worker
 * closes; or with steps that go on later, for the same reason or because that is far.
 */
export type StageEnd = Entry["next"] | "given back" | "waiting";

/** Runs the steps of one stage side by side, each until it has ended, and stores what becomes of them. */
export class StageExecution {
  readonly #scope: RunScope;
  readonly #stage: StageRun;
  readonly #enterNext: EnterNext;
  #end: StageEnd = "waiting";
  /** Steps that have not ended, and those of them that go on later. */
  readonly #open: Set<StepRun>;
  readonly #waiting = new Set<StepRun>();
  /** Aborts when those that go on later are to do so elsewhere. */
  readonly #leaver = new AbortController();

  constructor(scope: RunScope, stage: StageRun, enterNext: EnterNext) {
    this.#scope = scope;
    this.#stage = stage;
    this.#enterNext = enterNext;
    this.#open = new Set(stage.steps);
  }

  /** @throws the reason, when the run stops here. */
  async run(): Promise<StageEnd> {
    const results = await Promise.allSettled(this.#stage.steps.map((step) => this.#runStep(step)));
    this.#scope.signal.throwIfAborted();
    for (const result of results) if (result.status === "rejected") throw result.reason;
    return this.#end;
  }

  /** When the first of the open steps goes on, or the run's time is up; null where one could go on at once. */
  get waitsUntil(): Date | null {
    const times = Array.from(this.#open, ({ notBefore }) => notBefore);
    if (times.includes(null)) return null;
    return earliest([...times, this.#scope.run.deadlineAt]);
  }

  /** Brings the step to its end, or to where it goes on later and elsewhere. */
  async #runStep(step: StepRun): Promise<void> {
    while (await this.#isTimeFor(step)) {
      const report = this.#scope.reports.beginAttempt(step.planned.definition.id, step.attempt);
      try {
        if (await this.#try(step, report)) return this.#close(step);
      } finally {
        report.close();
      }
    }
  }

  /** Tries the step once: true when it has ended. */
  async #try(step: StepRun, report: AttemptReport): Promise<boolean> {
    const end = await this.#attempt(step, report);
    if (end === null) return true;
    if ("until" in end) {
      await this.#settle(step, { status: "SLEEPING", ...end });
      report.sleeping(end.until);
      step.sleepCount = end.sleepCount;
      step.notBefore = end.until;
      return false;
    }
    const outcome = this.#failureOf(step, end.error);
    await this.#settle(step, outcome);
    if (outcome.status === "FAILED") {
      report.failed(end.error, null);
      return true;
    }
    report.failed(end.error, outcome.delayMs);
    step.notBefore = outcome.until;
    step.attempt += 1;
    step.attemptStartedAt = null;
    return false;
  }

  #failureOf(
    { planned, attempt, attemptOffset }: StepRun,
    error: unknown,
  ): Extract<Outcome, { readonly status: "FAILED" | "RETRYING" }> {
    const { id, retry } = planned.definition;
    const failure = describeFailure(error, id, attempt);
    const tries = attempt - attemptOffset;
    if (!isWorthRetrying(error) || tries > retry.maxRetries) return { status: "FAILED", failure };
    const delayMs = retryDelayMs(retry, tries);
    const until = new Date(this.#scope.clock().getTime() + delayMs);
    return { status: "RETRYING", failure, until, delayMs };
  }

  /** The step has ended: the others may have nothing to do but to wait. */
  #close(step: StepRun): void {
    this.#open.delete(step);
    this.#leaveIfFar();
  }

  /** False when the step goes on later, and not here. */
  async #isTimeFor(step: StepRun): Promise<boolean> {
    const { clock, drainSignal, signal } = this.#scope;
    if (step.notBefore === null) return true;
    const ms = step.notBefore.getTime() - clock().getTime();
    if (ms > 0 && !drainSignal.aborted) {
      const leave = (): void => this.#leaver.abort();
      drainSignal.addEventListener("abort", leave, { once: true });
      this.#waiting.add(step);
      this.#leaveIfFar();
      await pause(ms, this.#leaver.signal);
      this.#waiting.delete(step);
      drainSignal.removeEventListener("abort", leave);
    }
    signal.throwIfAborted();
    return !drainSignal.aborted && !this.#leaver.signal.aborted;
  }

  #leaveIfFar(): void {
    if (this.#open.size === 0 || this.#waiting.size < this.#open.size) return;
    const until = this.waitsUntil;
    const now = this.#scope.clock();
    if (until !== null && until.getTime() - now.getTime() > longestStayMs) this.#leaver.abort();
  }

  /** Null when the step has completed and that is stored; otherwise why this attempt failed, or that it sleeps. */
  async #attempt(
    step: StepRun,
    report: AttemptReport,
  ): Promise<{ readonly error: unknown } | RequestedSleep | null> {
    const { signal, clock } = this.#scope;
    const { definition } = step.planned;
    await breathe();
    signal.throwIfAborted();
    step.startedAt ??= clock();
    step.attemptStartedAt ??= step.attempt === step.attemptOffset + 1 ? step.startedAt : clock();
    const attempt = new StepAttempt(this.#scope, step);
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
      return attempt.ctx.requestedSleep ?? { error: readable(error) };
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
    if (isWaiting(outcome) || !hasEnded(stage)) return ledger.record({ stage, settled });
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
      const next = { status: "FAILED", error: failure.error } as const;
      return { passed: [], failedStepId: null, nullOutputs: [], next };
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
