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
  type ConditionContext,
  type StepContext,
  type StepState,
} from "../definition/step-definition.ts";
import type { BoundLogger } from "../observe/logger.ts";
import { createReadContext } from "./read-context.ts";
import type { RunScope } from "./run-scope.ts";
import type { Outcome, StepRun } from "./stage-run.ts";

type Sleep = Extract<Outcome, { readonly status: "SLEEPING" }>;

/**
 * One attempt of a step, with its time limit and its context. Methods of the context are getters, because steps may
 * destructure it. Rarely used parts are created on first use.
 */
export class Attempt implements StepContext {
  readonly runId: string;
  readonly stepId: string;
  readonly attempt: number;
  readonly #scope: RunScope;
  /** The number of calls of `sleep` that return immediately. */
  readonly #sleepCount: number;
  readonly #timer: ReturnType<typeof setTimeout> | null;
  /** The store of the context, or a transaction of it. */
  #store: WorkflowStore;
  #controller: AbortController | null = null;
  #aborted: { readonly reason: unknown } | null = null;
  #reject: ((reason: unknown) => void) | null = null;
  #logger: BoundLogger | null = null;
  #state: StepState | null = null;
  #transaction: StepTransaction<unknown> | null = null;
  #misuse: InvalidArgumentError | null = null;
  #hasEnded = false;
  #sleepCalls = 0;
  /** Set if the step has called `sleep` and does not return from it. */
  requestedSleep: Sleep | null = null;

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

  get runInput(): StepContext["runInput"] {
    return this.#readContext.runInput;
  }

  get context(): StepContext["context"] {
    return this.#readContext.context;
  }

  get input(): StepContext["input"] {
    return this.#readContext.input;
  }

  get output(): StepContext["output"] {
    return this.#readContext.output;
  }

  get hasOutput(): StepContext["hasOutput"] {
    return this.#readContext.hasOutput;
  }

  get sleep() {
    return (time: number | Date): Promise<void> => {
      const sleeping = this.#sleepUntil(time);
      // The attempt ends even if the step does not await this promise.
      sleeping.catch(() => {});
      return sleeping;
    };
  }

  get transaction(): StepContext["transaction"] {
    type Work = (tx: never) => unknown;
    return (...args: [Work] | [db: unknown, Work]): StepTransaction<never> => {
      this.#checkOpen();
      const host = requireHostTransactions(this.#scope.store, "ctx.transaction");
      const [work, db] = args.length === 1 ? args : [args[1], args[0]];
      if (this.#transaction !== null) {
        throw this.#misuseOf(`was called twice by step ${this.stepId}`);
      }
      if (args.length > 1 && host.db !== undefined && host.db !== db) {
        throw this.#misuseOf(`of step ${this.stepId} needs the database of the store, store.db`);
      }
      // The types of the context ensure that the function accepts the transactions of the store.
      const transaction = new StepTransaction<never>(host, async (tx) => work(tx as never));
      this.#transaction = transaction;
      return transaction;
    };
  }

  /** The error of a wrong call of `transaction`. The attempt fails with it even if the step catches it. */
  #misuseOf(reason: string): InvalidArgumentError {
    return (this.#misuse = new InvalidArgumentError({ argument: "ctx.transaction", reason }));
  }

  /** Returns the result of `work`, which is not called after an abort. @throws the reason if the attempt aborts first. */
  race<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#aborted !== null) throw this.#aborted.reason;
      this.#reject = reject;
      work().then(resolve, reject);
    });
  }

  /**
   * Returns the transaction that the step returned, or null if it called none.
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

  async within<T>(tx: WorkflowStore, work: () => Promise<T>): Promise<T> {
    this.#store = tx;
    try {
      return await work();
    } finally {
      this.#store = this.#scope.store;
    }
  }

  /** Ends the time limit and the use of the context. */
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
    this.requestedSleep = { status: "SLEEPING", sleepCount: this.#sleepCalls, until };
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
    return createReadContext(this.#scope, this.stepId, () => this.#open());
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

  /** If the lease is lost, stops the run now instead of at the next heartbeat. */
  async #write(writing: Promise<unknown>): Promise<void> {
    try {
      await writing;
    } catch (error) {
      if (error instanceof LeaseLostError) this.#scope.lose(error);
      throw error;
    }
  }
}

/** Converts `time` to a date. @throws {InvalidArgumentError} if it is not a time. */
function parseTime(time: unknown, now: Date): Date {
  const isDuration = typeof time === "number" && time >= 0;
  const until = isDuration ? new Date(now.getTime() + time) : time;
  // The caller may change its own Date.
  if (until instanceof Date && !Number.isNaN(until.getTime())) return new Date(until);
  throw new InvalidArgumentError({
    argument: "ctx.sleep",
    reason: "takes a number of milliseconds that is not negative, or a valid Date",
  });
}
