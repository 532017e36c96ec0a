import {
  InvalidArgumentError,
  LeaseLostError,
  StepSleepingError,
  UnsupportedError,
} from "../../errors.ts";
import { hasHostTransactions } from "../../store/transactions.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import type { StepDefinition } from "../definition/define-step.ts";
import type { BoundLogger } from "../observe/logger.ts";
import { readOutput, type RunScope } from "./run-scope.ts";
import { createStateReader, type StepState } from "./step-state.ts";
import { StepTransaction, type DrizzleTransaction } from "./step-transaction.ts";

/** What a step gets beside its input. It is of use until the attempt ends. */
export interface StepContext {
  readonly runId: string;
  readonly stepId: string;
  /**
   * 1 for the first try; a run that is retried goes on counting. An attempt that a crash cut short, or that has
   * slept, is begun again under its own number.
   */
  readonly attempt: number;
  /**
   * Aborts when the attempt has no point any more; the reason says why: `StepTimeoutError`,
   * `StepSleepingError`, `RunCancelledError`, `RunTimeoutError`, `LeaseLostError`, `EngineClosedError`. What the step
   * still returns is not stored.
   */
  readonly signal: AbortSignal;
  /** The engine's, with the ids of the run and the step, and the attempt, in each report. */
  readonly logger: BoundLogger;
  readonly state: StepState;

  /**
   * The output of a step of this workflow that has completed.
   *
   * @throws {StepOutputNotFoundError} when it was skipped, or has not ended.
   * @throws {InvalidArgumentError} for a step of another workflow.
   */
  output<Output>(step: StepDefinition<string, never, Output>): Promise<Output>;

  /**
   * Ends the attempt here, and begins it again from the start when the time has come: after so many milliseconds, or
   * at a date. Then the same call returns at once, and so it does in every later attempt. Whatever is before it in
   * the step is run again: keep that short, or in a step of its own.
   *
   * While it sleeps the step holds neither a lease nor a worker, and survives both. It is not to be called within
   * `ctx.transaction`, and its rejection not to be caught.
   *
   * @throws {StepSleepingError} always, when it sleeps. {InvalidArgumentError} for what is no time.
   */
  sleep(time: number | Date): Promise<void>;

  /**
   * `return ctx.transaction(async (tx) => …)`: what the function returns is the step's output, and that, the
   * step's completion and what the function did through `tx` are committed together, or not at all.
   *
   * The function runs once the step has returned, in a transaction of the store's database, and again when
   * that could not be committed. On a libSQL server it has 5 seconds. `ctx.state` and `ctx.output` take part in
   * it; the steps beside it wait with their own writes.
   *
   * @throws {UnsupportedError} at once, on a store that is not in a database of the app.
   * @throws {InvalidArgumentError} for a second call; the step also fails with it when it returns anything else.
   */
  transaction<Output, Transaction = DrizzleTransaction>(
    work: (tx: Transaction) => Promise<Output> | Output,
  ): StepTransaction<Output>;
}

/** What a context needs to know of its attempt. */
export interface AttemptFacts {
  readonly stepId: string;
  readonly attempt: number;
  /** Of the calls of `sleep`, how many do not sleep any more. */
  readonly sleepCount: number;
  readonly signal: AbortSignal;
  /** Ends the attempt for now. */
  readonly suspend: (reason: StepSleepingError) => void;
}

/** The call of `sleep` that the attempt has come to. */
export interface RequestedSleep {
  readonly sleepCount: number;
  readonly until: Date;
}

/** The context of one attempt, and what the engine asks it when the step has returned. */
export class AttemptContext implements StepContext {
  readonly runId: string;
  readonly stepId: string;
  readonly attempt: number;
  readonly signal: AbortSignal;
  readonly #scope: RunScope;
  readonly #sleepCount: number;
  readonly #suspend: AttemptFacts["suspend"];
  #logger: BoundLogger | null = null;
  #state: StepState | null = null;
  #store: WorkflowStore;
  #transaction: StepTransaction<unknown> | null = null;
  #misuse: InvalidArgumentError | null = null;
  #ended = false;
  #sleepCalls = 0;
  #sleep: RequestedSleep | null = null;

  constructor(scope: RunScope, { stepId, attempt, sleepCount, signal, suspend }: AttemptFacts) {
    this.runId = scope.run.runId;
    this.stepId = stepId;
    this.attempt = attempt;
    this.signal = signal;
    this.#scope = scope;
    this.#sleepCount = sleepCount;
    this.#suspend = suspend;
    this.#store = scope.store;
    // A step may take them apart from the context.
    this.output = this.output.bind(this);
    this.sleep = this.sleep.bind(this);
    this.transaction = this.transaction.bind(this);
  }

  get logger(): BoundLogger {
    const { runId, stepId, attempt } = this;
    return (this.#logger ??= this.#scope.logger.child({ runId, stepId, attempt }));
  }

  get state(): StepState {
    return (this.#state ??= this.#createState());
  }

  async output<Output>(step: StepDefinition<string, never, Output>): Promise<Output> {
    this.#checkOpen();
    // The step's output schema made it, when it was stored.
    return (await readOutput(this.#scope, this.#store, step.id)) as Output;
  }

  sleep(time: number | Date): Promise<void> {
    const sleeping = this.#fallAsleep(time);
    // The engine knows that the step sleeps, whether or not anybody awaits this.
    sleeping.catch(() => {});
    return sleeping;
  }

  async #fallAsleep(time: number | Date): Promise<void> {
    this.#checkOpen();
    const { clock, store } = this.#scope;
    const until = parseTime(time, clock());
    if (this.#store !== store) {
      throw new InvalidArgumentError({
        argument: "ctx.sleep",
        reason: `step ${this.stepId} cannot sleep within ctx.transaction`,
      });
    }
    this.#sleepCalls += 1;
    if (this.#sleepCalls <= this.#sleepCount || until <= clock()) return;
    this.#sleep = { sleepCount: this.#sleepCalls, until };
    const reason = new StepSleepingError({ stepId: this.stepId, until });
    this.#suspend(reason);
    throw reason;
  }

  /** The sleep that has ended the attempt for now; null when none has. */
  get requestedSleep(): RequestedSleep | null {
    return this.#sleep;
  }

  transaction<Output, Transaction = DrizzleTransaction>(
    work: (tx: Transaction) => Promise<Output> | Output,
  ): StepTransaction<Output> {
    this.#checkOpen();
    const { store } = this.#scope;
    if (!hasHostTransactions(store)) {
      throw new UnsupportedError({
        feature: "ctx.transaction",
        reason: "the store is not in a database that an app could have tables in",
      });
    }
    if (this.#transaction !== null) {
      this.#misuse = new InvalidArgumentError({
        argument: "ctx.transaction",
        reason: `was called twice by step ${this.stepId}`,
      });
      throw this.#misuse;
    }
    const transaction = new StepTransaction<Output>(store, async (tx) =>
      // The store hands out its own kind of transaction; the step's author says which that is.
      work(tx as Transaction),
    );
    this.#transaction = transaction;
    return transaction;
  }

  /**
   * The transaction that the step asks for by what it returned; null when it asks for none.
   *
   * @throws {InvalidArgumentError} when it called `ctx.transaction` in another way than as its last act.
   */
  takeTransaction(returned: unknown): StepTransaction<unknown> | null {
    if (this.#misuse !== null) throw this.#misuse;
    if (returned === this.#transaction) return this.#transaction;
    if (this.#transaction === null && !(returned instanceof StepTransaction)) return null;
    throw new InvalidArgumentError({
      argument: "ctx.transaction",
      reason: `step ${this.stepId} must return what its ctx.transaction returned, and nothing else`,
    });
  }

  /** Runs `work` with the state of the run read and written through `tx`. */
  async within<T>(tx: WorkflowStore, work: () => Promise<T>): Promise<T> {
    this.#store = tx;
    try {
      return await work();
    } finally {
      this.#store = this.#scope.store;
    }
  }

  /** From now on the context refuses to be used. */
  end(): void {
    this.#ended = true;
  }

  #checkOpen(): void {
    this.signal.throwIfAborted();
    if (!this.#ended) return;
    throw new InvalidArgumentError({
      argument: "ctx",
      reason: `attempt ${this.attempt} of step ${this.stepId} has ended`,
    });
  }

  #createState(): StepState {
    const { runId } = this;
    const { fence } = this.#scope;
    const open = (): WorkflowStore => {
      this.#checkOpen();
      return this.#store;
    };
    return {
      ...createStateReader({ runId, stepId: this.stepId, store: open }),
      set: (key, value) =>
        this.#write(async () => {
          await open().saveState(runId, key, value, fence);
        }),
      delete: (key) => this.#write(async () => open().deleteState(runId, key, fence)),
    };
  }

  /** A worker that lost the run need not wait for its next heartbeat to know. */
  async #write(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (error instanceof LeaseLostError) this.#scope.lose(error);
      throw error;
    }
  }
}

/** A time from now on in milliseconds, or the time itself. @throws {InvalidArgumentError} */
function parseTime(time: unknown, now: Date): Date {
  const isDuration = typeof time === "number" && time >= 0;
  const until = isDuration ? new Date(now.getTime() + time) : time;
  // The caller may go on to change its own Date.
  if (until instanceof Date && !Number.isNaN(until.getTime())) return new Date(until);
  throw new InvalidArgumentError({
    argument: "ctx.sleep",
    reason: "takes a number of milliseconds that is not negative, or a valid Date",
  });
}
