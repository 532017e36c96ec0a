import type { LibSQLDatabase } from "../../drizzle-types.ts";
import type { RetryOptions, RetryPolicy } from "../../model/backoff.ts";
import type { HostTransactions } from "../../store/transactions.ts";
import type { BoundLogger } from "../observe/logger.ts";
import type { OutputOf, StandardSchema } from "./standard-schema.ts";

declare const stepTypes: unique symbol;
declare const transactionOutput: unique symbol;

/** The options that a workflow can give all its steps. */
export interface StepSettings<ContinueOnError extends boolean = boolean> {
  /**
   * The retries after the first attempt. Each part defaults to that of the workflow's `stepDefaults`, then `maxRetries`
   * to 0, `delayMs` to 1000, `backoff` to "constant".
   */
  readonly retry?: RetryOptions | undefined;
  /**
   * After this time in milliseconds, an attempt fails with `StepTimeoutError` and its `ctx.signal` aborts. Null for no
   * limit. Defaults to that of the workflow's `stepDefaults`, then to no limit.
   */
  readonly timeoutMs?: number | null | undefined;
  /**
   * If true, the run continues after the last attempt of the step has failed. The output is then null. Defaults to that
   * of the workflow's `stepDefaults`, then to false.
   */
  readonly continueOnError?: ContinueOnError | undefined;
}

/**
 * A step. It accepts an `Input` and passes an `Output` to the next steps. It has no state, so any number of workflows and
 * runs can share it.
 */
export interface StepDefinition<Id extends string = string, Input = never, Output = unknown> {
  readonly id: Id;
  readonly name: string | null;
  readonly description: string | null;
  readonly retry: RetryPolicy;
  /** The maximum duration of an attempt in milliseconds; null for no limit. */
  readonly timeoutMs: number | null;
  /** True if a failure of this step does not fail the run. The output is then null. */
  readonly continueOnError: boolean;
  /** The three options above as they were given. In a workflow, its `stepDefaults` add the others. */
  readonly settings: StepSettings;
  readonly inputSchema: StandardSchema;
  /** Parses an input. Null may stand for a missing one. @throws {StepValidationError} if it is invalid. */
  readonly parseInput: (input: unknown) => Promise<unknown>;
  /** Calls the step with a parsed input. */
  readonly invoke: (input: unknown, ctx: StepContext) => Promise<unknown>;
  /** Parses a returned value. Undefined becomes null. @throws {StepValidationError} if it is invalid. */
  readonly parseOutput: (returned: unknown) => Promise<unknown>;
  /** For the compiler only; it does not exist at run time. */
  readonly [stepTypes]?:
    | { readonly accepts: (input: Input) => void; readonly output: Output }
    | undefined;
}

export type StepOutput<Step> =
  Step extends StepDefinition<string, never, infer Output> ? Output : never;

/** The context of a condition. */
export interface ConditionContext {
  readonly runId: string;
  readonly state: Pick<StepState, "get" | "has" | "all">;

  /**
   * Returns the input of the run. A schema parses it.
   *
   * @throws {StepValidationError} if the schema does not accept it.
   */
  runInput(): Promise<unknown>;
  runInput<Schema extends StandardSchema>(schema: Schema): Promise<OutputOf<Schema>>;

  /**
   * Returns the context that was given to `start`, or null if the run has none. A schema parses it.
   *
   * @throws {StepValidationError} if the schema does not accept it.
   */
  context(): Promise<unknown>;
  context<Schema extends StandardSchema>(schema: Schema): Promise<OutputOf<Schema>>;

  /**
   * Returns the input of this or an earlier step of the workflow, as it was before the step's schema parsed it.
   *
   * @throws {StepOutputNotFoundError} if the steps before it have not ended.
   * @throws {InvalidArgumentError} if the step belongs to another workflow.
   */
  input<Input>(step: StepDefinition<string, Input>): Promise<Input>;

  /**
   * Returns the output of an ended step of the workflow.
   *
   * @throws {StepOutputNotFoundError} if the step has no output: it has not ended, or was skipped without a value.
   * @throws {InvalidArgumentError} if the step belongs to another workflow.
   */
  output<Output>(step: StepDefinition<string, never, Output>): Promise<Output>;

  /** Returns true if the step has an output. @throws {InvalidArgumentError} if it belongs to another workflow. */
  hasOutput(step: StepDefinition): Promise<boolean>;
}

/** The second argument of a step. It can be used until the attempt ends. */
export interface StepContext extends Omit<ConditionContext, "state"> {
  readonly stepId: string;
  /**
   * 1 for the first attempt. The count continues after `engine.retry`. An attempt that a crash or a sleep interrupts
   * restarts with the same number.
   */
  readonly attempt: number;
  /**
   * Aborts if the result of the attempt will not be stored. The reason is `StepTimeoutError`, `StepSleepingError`,
   * `RunCancelledError`, `RunTimeoutError`, `LeaseLostError` or `EngineClosedError`.
   */
  readonly signal: AbortSignal;
  /** The engine's logger, which adds the ids of the run and the step, and the attempt. */
  readonly logger: BoundLogger;
  readonly state: StepState;

  /**
   * Ends the attempt and restarts it after `time` milliseconds, or at the date `time`. In the restarted attempt and all
   * later ones, the same call returns immediately. Code before the call runs again: keep it short, or move it to its own
   * step.
   *
   * A step that sleeps for more than five seconds holds no lease and occupies no worker. Do not call this inside
   * `ctx.transaction`, and do not catch its rejection.
   *
   * @throws {StepSleepingError} if it sleeps.
   * @throws {InvalidArgumentError} if `time` is not a time.
   */
  sleep(time: number | Date): Promise<void>;

  /**
   * `return ctx.transaction(async (tx) => …)` makes the result of the function the step's output. The output, the
   * completion of the step and the writes through `tx` are committed together or not at all.
   *
   * The function runs after the step has returned, in a transaction of the store's database. It runs again if the
   * commit fails. On a libSQL server it has 5 seconds. Inside it, `ctx.state` and `ctx.output` use the transaction.
   * Writes of parallel steps wait for it.
   *
   * With `db`, the database of the store, `tx` has the type of its transactions. Without it, annotate `tx` if you need
   * more than Drizzle's query builders.
   *
   * @throws {UnsupportedError} if the store does not share a database with an app.
   * @throws {InvalidArgumentError} on a second call, or if `db` is not the database of the store.
   */
  transaction<Transaction, Output>(
    db: TransactionalDatabase<Transaction>,
    work: (tx: Transaction) => Promise<Output> | Output,
  ): StepTransaction<Output>;
  transaction<Output, Transaction = DrizzleTransaction>(
    work: (tx: Transaction) => Promise<Output> | Output,
  ): StepTransaction<Output>;
}

/** The state of a run. All its steps share it. */
export interface StepState {
  /**
   * Returns the value of a key, or undefined if the key does not exist. A schema parses the value.
   *
   * @throws {StepValidationError} if the schema does not accept the value.
   */
  get(key: string): Promise<unknown>;
  get<Schema extends StandardSchema>(
    key: string,
    schema: Schema,
  ): Promise<OutputOf<Schema> | undefined>;

  /** Returns true if the key exists. */
  has(key: string): Promise<boolean>;

  /**
   * Stores the value. It is durable when this resolves, even if the step fails afterwards. Inside `ctx.transaction` it
   * is committed with the transaction.
   *
   * @throws {InvalidValueError} if JSON cannot hold the value.
   * @throws {LeaseLostError} if the worker no longer holds the run.
   */
  set(key: string, value: unknown): Promise<void>;

  /** Removes the key if it exists. @throws {LeaseLostError} if the worker no longer holds the run. */
  delete(key: string): Promise<void>;

  /** Returns all keys with their values. */
  all(): Promise<Record<string, unknown>>;
}

/** A database that passes a `Transaction` to the callback of `transaction`, such as one of Drizzle. */
export interface TransactionalDatabase<Transaction> {
  transaction(work: (tx: Transaction) => Promise<unknown>): unknown;
}

/** The argument of Drizzle's `db.transaction` callback in an app on `LibSQLStore`. */
export type DrizzleTransaction = Parameters<
  Parameters<LibSQLDatabase<{}, Record<string, unknown>>["transaction"]>[0]
>[0];

/**
 * The result of `ctx.transaction`. The engine does the work after the step has returned this object.
 *
 * It is not a promise: nothing has happened yet, so the engine can reject a step that returns another value.
 */
export class StepTransaction<Output> {
  /** For the compiler only; it does not exist at run time. */
  declare readonly [transactionOutput]?: Output;
  readonly host: HostTransactions;
  readonly work: (transaction: unknown) => Promise<unknown>;

  constructor(host: HostTransactions, work: (transaction: unknown) => Promise<unknown>) {
    this.host = host;
    this.work = work;
  }
}
