import {
  InvalidArgumentError,
  LeaseLostError,
  StepSleepingError,
  StepTimeoutError,
} from "../../errors.ts";
import { requireHostTransactions } from "../../store/transactions.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import {
  StepTransaction,
  type DrizzleTransaction,
  type StepContext,
  type StepState,
} from "../definition/step-definition.ts";
import type { BoundLogger } from "../observe/logger.ts";
import type { ConditionContext } from "../definition/workflow-plan.ts";
import { createReadContext, type RunScope } from "./run-scope.ts";
import type { StepRun } from "./stage-run.ts";

/** A sleep that the step has asked for: it is call number `sleepCount`. */
export interface RequestedSleep {
  readonly sleepCount: number;
  readonly until: Date;
}

/**
 * One attempt of a step: its time limit, its abort, and its context. A step may destructure the context, so its methods
 * are getters. What few steps use is made on first use.
 */
export class Attempt implements StepContext {
  readonly runId: string;
  readonly stepId: string;
  readonly attempt: number;
  readonly #scope: RunScope;
  /** How many calls of `sleep` return at once. */
  readonly #sleepCount: number;
  readonly #timer: ReturnType<typeof setTimeout> | null;
  /** What the context reads and writes through: the store, or a transaction of it. */
  #store: WorkflowStore;
  #controller: AbortController | null = null;
  #aborted: { readonly reason: unknown } | null = null;
  /** Rejects the race that is under way. */
  #reject: ((reason: unknown) => void) | null = null;
  #logger: BoundLogger | null = null;
  #reads: ConditionContext | null = null;
  #state: StepState | null = null;
  #transaction: StepTransaction<unknown> | null = null;
  #misuse: InvalidArgumentError | null = null;
  #hasEnded = false;
  #sleepCalls = 0;
  #requestedSleep: RequestedSleep | null = null;

  constructor(scope: RunScope, { planned, attempt, sleepCount }: StepRun) {
    const { id, timeoutMs } = planned.definition;
    this.runId = scope.run.runId;
    this.stepId = id;
    this.attempt = attempt;
    this.#scope = scope;
    this.#sleepCount = sleepCount;
    this.#store = scope.store;
    scope.signal.addEventListener("abort", this.#stop);
    this.#timer =
      timeoutMs === null
        ? null
        : setTimeout(() => this.#abort(new StepTimeoutError({ stepId: id, timeoutMs })), timeoutMs);
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#aborted !== null) this.#controller.abort(this.#aborted.reason);
    }
    return this.#controller.signal;
  }

  get logger(): BoundLogger {
    const { runId, stepId, attempt } = this;
    return (this.#logger ??= this.#scope.logger.child({ runId, stepId, attempt }));
  }

  get state(): StepState {
    return (this.#state ??= this.#createState());
  }

  get output(): StepContext["output"] {
    return this.#readContext.output;
  }

  get sleep() {
    return (time: number | Date): Promise<void> => {
      const sleeping = this.#sleepUntil(time);
      // The engine ends the attempt even if the step does not await this.
      sleeping.catch(() => {});
      return sleeping;
    };
  }

  get transaction() {
    return <Output, Transaction = DrizzleTransaction>(
      work: (tx: Transaction) => Promise<Output> | Output,
    ): StepTransaction<Output> => {
      this.#checkOpen();
      const host = requireHostTransactions(this.#scope.store, "ctx.transaction");
      if (this.#transaction !== null) {
        this.#misuse = new InvalidArgumentError({
          argument: "ctx.transaction",
          reason: `was called twice by step ${this.stepId}`,
        });
        throw this.#misuse;
      }
      const transaction = new StepTransaction<Output>(host, async (tx) =>
        // The store hands out its own kind of transaction; the step's author names its type.
        work(tx as Transaction),
      );
      this.#transaction = transaction;
      return transaction;
    };
  }

  /** The sleep that interrupted the attempt; null if there is none. */
  get requestedSleep(): RequestedSleep | null {
    return this.#requestedSleep;
  }

  /** The result of `work`. @throws the reason of the attempt's abort, without waiting for `work`. */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#aborted !== null) reject(this.#aborted.reason);
      this.#reject = reject;
      work.then(resolve, reject);
    });
  }

  /**
   * The transaction that the step returned; null if it called none.
   *
   * @throws {InvalidArgumentError} if the step called `ctx.transaction` and did not return its result.
   */
  takeTransaction(returned: unknown): StepTransaction<unknown> | null {
    if (this.#misuse !== null) throw this.#misuse;
    if (returned === this.#transaction) return this.#transaction;
    if (this.#transaction === null && !(returned instanceof StepTransaction)) return null;
    throw new InvalidArgumentError({
      argument: "ctx.transaction",
      reason: `step ${this.stepId} must return the result of its ctx.transaction, and nothing else`,
    });
  }

  /** Runs `work` while the context reads and writes through `tx`. */
  async within<T>(tx: WorkflowStore, work: () => Promise<T>): Promise<T> {
    this.#store = tx;
    try {
      return await work();
    } finally {
      this.#store = this.#scope.store;
    }
  }

  /** Ends the time limit. From now on the context refuses to be used. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#scope.signal.removeEventListener("abort", this.#stop);
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  readonly #stop = (): void => this.#abort(this.#scope.signal.reason);

  #abort(reason: unknown): void {
    if (this.#aborted !== null) return;
    this.#aborted = { reason };
    this.#controller?.abort(reason);
    this.#reject?.(reason);
  }

  async #sleepUntil(time: number | Date): Promise<void> {
    this.#checkOpen();
    const { clock, store } = this.#scope;
    const now = clock();
    const until = parseTime(time, now);
    if (this.#store !== store) {
      throw new InvalidArgumentError({
        argument: "ctx.sleep",
        reason: `step ${this.stepId} cannot sleep within ctx.transaction`,
      });
    }
    this.#sleepCalls += 1;
    if (this.#sleepCalls <= this.#sleepCount || until <= now) return;
    this.#requestedSleep = { sleepCount: this.#sleepCalls, until };
    const reason = new StepSleepingError({ stepId: this.stepId, until });
    this.#abort(reason);
    throw reason;
  }

  #checkOpen(): void {
    if (this.#aborted !== null) throw this.#aborted.reason;
    if (!this.#hasEnded) return;
    throw new InvalidArgumentError({
      argument: "ctx",
      reason: `attempt ${this.attempt} of step ${this.stepId} has ended`,
    });
  }

  get #readContext(): ConditionContext {
    const { stepId } = this;
    return (this.#reads ??= createReadContext(this.#scope, stepId, () => this.#open()));
  }

  #open(): WorkflowStore {
    this.#checkOpen();
    return this.#store;
  }

  #createState(): StepState {
    const { runId } = this;
    const { fence } = this.#scope;
    return {
      ...this.#readContext.state,
      set: async (key, value) => this.#write(this.#open().saveState(runId, key, value, fence)),
      delete: async (key) => this.#write(this.#open().deleteState(runId, key, fence)),
    };
  }

  /** A refused write stops the run before the next heartbeat would. */
  async #write(writing: Promise<unknown>): Promise<void> {
    try {
      await writing;
    } catch (error) {
      if (error instanceof LeaseLostError) this.#scope.lose(error);
      throw error;
    }
  }
}

/** The date that `time` means at `now`. @throws {InvalidArgumentError} if it is not a time. */
function parseTime(time: unknown, now: Date): Date {
  const isDuration = typeof time === "number" && time >= 0;
  const until = isDuration ? new Date(now.getTime() + time) : time;
  // A copy: the caller may change its Date.
  if (until instanceof Date && !Number.isNaN(until.getTime())) return new Date(until);
  throw new InvalidArgumentError({
    argument: "ctx.sleep",
    reason: "takes a number of milliseconds that is not negative, or a valid Date",
  });
}
