import { onAbort, Stopper } from "../../async/abort.ts";
import { dueTurn, pause } from "../../async/pause.ts";
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
import type { StepTransaction } from "../definition/step-definition.ts";
import type { AttemptObserver } from "../observe/run-observer.ts";
import { Attempt } from "./attempt.ts";
import type { RunEvent, Settled } from "./run-events.ts";
import type { RunScope } from "./run-scope.ts";
import { isRefusal, type RunWriter } from "./run-writer.ts";
import {
  addOutcome,
  describeProgress,
  findNext,
  hasEnded,
  isUndecided,
  isWaiting,
  removeOutcome,
  type Outcome,
  type RunResult,
  type StageRun,
  type StepRun,
} from "./stage-run.ts";
import { describeFailure, readable } from "./step-errors.ts";
import { parseInput } from "./step-input.ts";

/** A run that waits longer than this is released, because a new claim costs less than the slot. */
const longestWaitMs = 5000;

/**
 * The delay before the rows of a run's first attempts are written. A shorter step needs only one commit. Later attempts
 * have their rows when they begin.
 */
const firstRowAfterMs = 15;

/**
 * How the execution of a stage ends. The result is already stored, and the next stage too unless it has conditions to
 * evaluate first, or the engine closes. `waiting`: the open steps continue later.
 */
export type StageEnd = StageRun | RunResult | "waiting";

type StageEvent = RunEvent & { readonly begun: readonly StepRun[]; readonly end: StageEnd };

/** Runs the steps of one stage in parallel until all have ended, and stores their outcomes. */
export class StageExecution {
  readonly #scope: RunScope;
  readonly #writer: RunWriter;
  readonly #stage: StageRun;
  #end: StageEnd = "waiting";
  #rowTimer: ReturnType<typeof setTimeout> | null = null;
  /** Steps that have not ended. */
  readonly #open: Set<StepRun>;
  /** Open steps that continue later. */
  readonly #waiting = new Set<StepRun>();
  /** Aborts when the waiting steps are left to the next claim. */
  readonly #leave = new Stopper();

  constructor(scope: RunScope, writer: RunWriter, stage: StageRun) {
    this.#scope = scope;
    this.#writer = writer;
    this.#stage = stage;
    this.#open = new Set(stage.steps);
  }

  /** @throws the reason if the run stops in this process. */
  async run(): Promise<StageEnd> {
    try {
      const [first, ...others] = this.#stage.steps;
      if (others.length === 0) {
        if (first !== undefined) await this.#runStep(first);
        this.#scope.signal.throwIfAborted();
        return this.#end;
      }
      const running = this.#stage.steps.map((step) =>
        this.#runStep(step).catch((error: unknown) => this.#scope.signal.abort(error)),
      );
      await Promise.all(running);
      this.#scope.signal.throwIfAborted();
      return this.#end;
    } finally {
      if (this.#rowTimer !== null) clearTimeout(this.#rowTimer);
    }
  }

  /** The time at which the first open step continues, at most the deadline; null if a step can continue now. */
  get waitsUntil(): Date | null {
    const times = Array.from(this.#open, ({ notBefore }) => notBefore);
    if (times.includes(null)) return null;
    return earliest([...times, this.#scope.run.deadlineAt]);
  }

  /** Runs the step until it ends, or until this process leaves it. */
  async #runStep(step: StepRun): Promise<void> {
    while (step.notBefore === null || (await this.#waitFor(step.notBefore, step))) {
      if (!(await this.#attempt(step))) continue;
      this.#open.delete(step);
      this.#leaveIfLong();
      return;
    }
  }

  /** Waits until `time`. False if the step does not continue in this process. */
  async #waitFor(time: Date, step: StepRun): Promise<boolean> {
    const { clock, drainSignal, signal } = this.#scope;
    const ms = time.getTime() - clock().getTime();
    if (ms > 0 && !drainSignal.aborted) {
      const leave = (): void => this.#leave.abort();
      const ends = [onAbort(drainSignal, leave), onAbort(signal, leave)];
      this.#waiting.add(step);
      this.#leaveIfLong();
      await pause(ms, this.#leave);
      this.#waiting.delete(step);
      for (const end of ends) end();
    }
    signal.throwIfAborted();
    return !drainSignal.aborted && !this.#leave.aborted;
  }

  #leaveIfLong(): void {
    if (this.#open.size === 0 || this.#waiting.size < this.#open.size) return;
    const until = this.waitsUntil;
    const now = this.#scope.clock();
    if (until !== null && until.getTime() - now.getTime() > longestWaitMs) this.#leave.abort();
  }

  /** Runs one attempt and stores its outcome. True if the step has ended. */
  async #attempt(step: StepRun): Promise<boolean> {
    const turn = dueTurn();
    if (turn !== null) await turn;
    const { signal, clock } = this.#scope;
    signal.throwIfAborted();
    const now = clock();
    step.startedAt ??= now;
    step.attemptStartedAt ??= step.attempt === step.attemptOffset + 1 ? step.startedAt : now;
    if (step.row === "missing") this.#storeSoon();
    else if (step.row === "earlier") {
      // The row must have the number of the attempt first, so that no other attempt gets it.
      await this.#store();
      signal.throwIfAborted();
    }
    const attempt = new Attempt(this.#scope, step);
    const observer = this.#scope.observer.beginAttempt(step.planned.definition.id, step.attempt);
    let outcome: Outcome | undefined;
    let thrown: unknown;
    try {
      outcome = await this.#complete(step, attempt, observer);
    } catch (error) {
      signal.throwIfAborted();
      thrown = readable(error);
      outcome = await this.#store({ step, outcome: this.#outcomeOf(step, attempt, thrown) });
    } finally {
      attempt.end();
      observer.ended(outcome, thrown);
    }
    return outcome !== undefined && !isWaiting(outcome);
  }

  /** Stores rows after a delay, so that a fast step that locks the file through an app's own client comes first. */
  #storeSoon(): void {
    this.#rowTimer ??= setTimeout(() => {
      // The steps could not store their ends either.
      this.#store().catch((error: unknown) => this.#scope.signal.abort(error));
    }, firstRowAfterMs);
  }

  /** Runs the step and stores its completion. @throws the error of the step, or the reason of an abort. */
  async #complete(
    step: StepRun,
    attempt: Attempt,
    observer: AttemptObserver,
  ): Promise<Outcome | undefined> {
    const { definition } = step.planned;
    const input = await attempt.race(() => parseInput(step, this.#stage.input));
    if (input.mustBeStored) {
      if (step.row === "current") step.row = "earlier";
      await this.#store();
    }
    const complete = async (returned: unknown): Promise<Settled> => {
      const output = await definition.parseOutput(returned);
      const text = encodeJson(output, "output", jsonLimits.value);
      return { step, outcome: { status: "COMPLETED", text } };
    };
    const invoke = async (): Promise<Settled | StepTransaction<unknown>> => {
      const returned = await observer.within(() => definition.invoke(input.value, attempt));
      return attempt.takeTransaction(returned) ?? complete(returned);
    };
    const result = await attempt.race(invoke);
    if ("step" in result) {
      attempt.end();
      return this.#store(result);
    }
    const { host, work } = result;
    return this.#exclusively(step, (shape) =>
      this.#writer.commitWithin(host, async (hostTransaction, tx) => {
        const working = () =>
          attempt.within(tx, () => observer.within(() => work(hostTransaction))).then(complete);
        return shape(this.#eventOf(await attempt.race(working)));
      }),
    );
  }

  #outcomeOf(
    { planned, attempt: number, attemptOffset }: StepRun,
    attempt: Attempt,
    error: unknown,
  ): Outcome {
    if (attempt.requestedSleep !== null) return attempt.requestedSleep;
    const { id, retry } = planned.definition;
    const failure = describeFailure(error, id, number);
    const tries = number - attemptOffset;
    if (!isWorthRetrying(error) || tries > retry.maxRetries) return { status: "FAILED", failure };
    const delayMs = retryDelayMs(retry, tries);
    const until = new Date(this.#scope.clock().getTime() + delayMs);
    return { status: "RETRYING", failure, until, delayMs };
  }

  /** Stores an outcome, if there is one, and everything in the stage that is not stored yet. */
  #store(settled?: Settled): Promise<Outcome | undefined> {
    return this.#exclusively(settled?.step ?? null, async (shape) => {
      const event = shape(this.#eventOf(settled));
      if (!settled && event.begun.length === 0) return null;
      await this.#writer.commit(event);
      return event;
    });
  }

  /**
   * Commits an event made from the stored state, in the shape that `shape` gives it, and returns its outcome. Without a
   * commit, the outcome is discarded.
   *
   * If the store refuses an event of several rows, the end of the step is committed alone, so that the step does not fail
   * because of the row of another step or of the run. The run stops with that error.
   */
  #exclusively(
    step: StepRun | null,
    commit: (shape: (event: StageEvent) => StageEvent) => Promise<StageEvent | null>,
  ): Promise<Outcome | undefined> {
    let isAlone = true;
    const whole = (event: StageEvent): StageEvent => {
      isAlone = step === null || isEndOf(step, event);
      return event;
    };
    return this.#writer.exclusive(async () => {
      try {
        const event = await commit(whole).catch(async (error: unknown) => {
          if (isAlone || !isRefusal(error)) throw error;
          const end = await commit(withoutOthers);
          this.#scope.signal.abort(error);
          return end;
        });
        if (event !== null) this.#applied(event);
        return event?.settled?.outcome;
      } catch (error) {
        if (step !== null) removeOutcome(this.#stage, step);
        throw error;
      }
    });
  }

  #eventOf(settled?: Settled): StageEvent {
    const stage = this.#stage;
    if (settled) addOutcome(stage, settled.step, settled.outcome);
    const event = { ...describeProgress(stage), ...(settled && { settled }) };
    if (!settled || isWaiting(settled.outcome) || !hasEnded(stage)) {
      return { ...event, end: "waiting" };
    }
    const next = findNext(this.#scope.workflow.plan, stage);
    if ("status" in next) return { ...event, end: next, result: next };
    // A condition is asked after this commit, and a step of an engine that closes does not begin.
    const isLeft = isUndecided(next) || this.#scope.drainSignal.aborted;
    return isLeft ? { ...event, end: next } : { ...event, end: next, next };
  }

  #applied({ begun, settled, next, end }: StageEvent): void {
    for (const step of begun) markStored(step);
    if (next) for (const step of next.steps) markStored(step);
    this.#end = end;
    if (!settled) return;
    const { step, outcome } = settled;
    markStored(step);
    if (!isWaiting(outcome)) return;
    step.notBefore = outcome.until;
    step.wasAccepted = true;
    if (outcome.status === "SLEEPING") step.sleepCount = outcome.sleepCount;
    else {
      step.attempt += 1;
      step.attemptStartedAt = null;
      step.row = "earlier";
    }
  }
}

/** True if the event writes no step but this one, and does not change the status of the run. */
function isEndOf(step: StepRun, { begun, next, result }: StageEvent): boolean {
  return (next ?? result) === undefined && begun.every((each) => each === step);
}

function withoutOthers({ endedSteps, stage, settled, end }: StageEvent): StageEvent {
  return { endedSteps, begun: [], end, ...(stage && { stage }), ...(settled && { settled }) };
}

function markStored(step: StepRun): void {
  step.row = "current";
  step.isInputStored = step.parsedInput !== null;
}

/** A retry does not help against an invalid value or a misuse of the context. */
function isWorthRetrying(error: unknown): boolean {
  return !(
    error instanceof StepValidationError ||
    error instanceof InvalidValueError ||
    error instanceof InvalidArgumentError ||
    error instanceof UnsupportedError
  );
}
