import {
  InvalidArgumentError,
  InvalidValueError,
  StepValidationError,
  UnsupportedError,
} from "../../errors.ts";
import { encodeJson } from "../../json.ts";
import { retryDelayMs } from "../../model/backoff.ts";
import { earliest } from "../../model/times.ts";
import { jsonLimits } from "../../schema/columns.ts";
import type { HostTransactions } from "../../store/transactions.ts";
import { Stopper } from "../../async/abort.ts";
import { dueTurn, pause } from "../../async/pause.ts";
import type { AttemptReport } from "../observe/run-observer.ts";
import type { RunScope } from "./run-scope.ts";
import type { RunEvent } from "./run-writes.ts";
import {
  applyOutcome,
  countEnded,
  findNext,
  forgetOutcome,
  hasEnded,
  isWaiting,
  recordOutcome,
  unshownSteps,
  type Outcome,
  type RunResult,
  type StagePosition,
  type StageRun,
  type StepRun,
} from "./stage-run.ts";
import { StepAttempt } from "./step-attempt.ts";
import type { RequestedSleep } from "./step-context.ts";
import { describeFailure, readable } from "./step-errors.ts";
import type { StepTransaction } from "./step-transaction.ts";

/** A run that waits for longer than this is given back: its place here is worth more than claiming it again. */
const longestStayMs = 5000;

/**
 * How the execution of a stage ends: with what comes next, stored already unless a condition is to be asked first;
 * with the run given back, as the worker closes; or with steps that go on later, for the same reason or because that
 * is far.
 */
export type StageEnd = StageRun | StagePosition | RunResult | "given back" | "waiting";

/** Runs the steps of one stage side by side, each until it has ended, and stores how they end. */
export class StageExecution {
  readonly #scope: RunScope;
  readonly #stage: StageRun;
  #end: StageEnd = "waiting";
  #isShowDue = false;
  /** Steps that have not ended, and those of them that go on later. */
  readonly #open: Set<StepRun>;
  readonly #waiting = new Set<StepRun>();
  /** Aborts when those that go on later are to do so elsewhere. */
  readonly #leaver = new Stopper();

  constructor(scope: RunScope, stage: StageRun) {
    this.#scope = scope;
    this.#stage = stage;
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
      return false;
    }
    const outcome = this.#failureOf(step, end.error);
    await this.#settle(step, outcome);
    report.failed(end.error, outcome.status === "FAILED" ? null : outcome.delayMs);
    return outcome.status === "FAILED";
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
      drainSignal.addEventListener("abort", leave);
      this.#waiting.add(step);
      this.#leaveIfFar();
      await pause(ms, this.#leaver);
      this.#waiting.delete(step);
      drainSignal.removeEventListener("abort", leave);
    }
    signal.throwIfAborted();
    return !drainSignal.aborted && !this.#leaver.aborted;
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
    await dueTurn();
    signal.throwIfAborted();
    step.startedAt ??= clock();
    step.attemptStartedAt ??= step.attempt === step.attemptOffset + 1 ? step.startedAt : clock();
    if (!step.shown) this.#showSoon();
    const attempt = new StepAttempt(this.#scope, step);
    try {
      const input: unknown = JSON.parse(this.#stage.input.text);
      const returned = await report.within(() => attempt.invoke(input));
      const transaction = attempt.ctx.takeTransaction(returned);
      if (transaction === null) {
        const text = encodeOutput(await attempt.race(definition.parseOutput(returned)));
        attempt.end();
        await this.#settle(step, { status: "COMPLETED", text });
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

  /**
   * Stores that attempts have begun, unless they end before: of a short step that would be a commit for nothing. It
   * also keeps out of the way of what a step does first: an app's own client may not wait for the lock of a file.
   */
  #showSoon(): void {
    if (this.#isShowDue) return;
    this.#isShowDue = true;
    setTimeout(() => {
      this.#isShowDue = false;
      this.#show().catch(() => {
        // The journal has stopped the run.
      });
    }, showAfterMs);
  }

  #show(): Promise<void> {
    const { journal } = this.#scope;
    return journal.exclusive(async () => {
      if (unshownSteps(this.#stage).length === 0) return;
      const event = this.#eventOf();
      await journal.commit(event);
      this.#committed(event);
    });
  }

  /** @throws {InvalidValueError} when a value cannot be stored. */
  #settle(step: StepRun, outcome: Outcome): Promise<void> {
    const { journal } = this.#scope;
    return this.#exclusively(step, async () => {
      const event = this.#eventOf({ step, outcome });
      await journal.commit(event);
      return event;
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
        const text = encodeOutput(await attempt.race(definition.parseOutput(returned)));
        return this.#eventOf({ step, outcome: { status: "COMPLETED", text } });
      }),
    );
  }

  /** Commits on what is stored so far; an outcome that could not be committed has not happened. */
  #exclusively(step: StepRun, commit: () => Promise<StageEvent>): Promise<void> {
    return this.#scope.journal.exclusive(async () => {
      try {
        this.#committed(await commit());
      } catch (error) {
        forgetOutcome(this.#stage, step);
        throw error;
      }
    });
  }

  /** What is to be stored now: that the step has settled, if it is given, and what is not stored yet. */
  #eventOf(settled?: NonNullable<RunEvent["settled"]>): StageEvent {
    const stage = this.#stage;
    if (settled) recordOutcome(stage, settled.step, settled.outcome);
    const event: StageEvent = {
      stage,
      endedSteps: countEnded(stage),
      passed: [...stage.passed],
      begun: unshownSteps(stage),
      settled,
      end: "waiting",
    };
    if (!settled || isWaiting(settled.outcome) || !hasEnded(stage)) return event;
    const next = findNext(this.#scope.workflow.plan, stage);
    event.end = next;
    if ("status" in next) event.result = next;
    else if (this.#scope.drainSignal.aborted) {
      event.givenBack = { wakeAt: null };
      event.end = "given back";
    } else if ("steps" in next) event.next = next;
    return event;
  }

  #committed({ passed, begun, settled, next, end }: StageEvent): void {
    this.#stage.passed.length = 0;
    for (const step of [...begun, ...(next?.steps ?? [])]) step.stored = step.shown = true;
    if (settled) applyOutcome(settled.step, settled.outcome);
    this.#end = end;
    this.#scope.reports.passed(passed);
  }
}

/** What an event comes to for the stage. */
type StageEvent = { -readonly [Name in keyof RunEvent]: RunEvent[Name] } & { end: StageEnd };

function encodeOutput(output: unknown): string {
  return encodeJson(output, "output", jsonLimits.value);
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

/** How long an attempt may take without a row of its step. */
const showAfterMs = 15;
