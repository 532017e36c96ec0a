import type * as z from "zod";
import type { LibSQLDatabase } from "../../drizzle-types.ts";
import type { RetryPolicy } from "../../model/backoff.ts";
import type { HostTransactions } from "../../store/transactions.ts";
import type { BoundLogger } from "../observe/logger.ts";

declare const stepTypes: unique symbol;
declare const transactionOutput: unique symbol;

/**
 * A step of workflows. `Input` is what it accepts, `Output` what the next steps get.
 *
 * It holds no state: one definition serves any number of workflows and runs.
 */
export interface StepDefinition<Id extends string = string, Input = never, Output = unknown> {
  readonly id: Id;
  readonly retry: RetryPolicy;
  /** The longest time for one attempt, in milliseconds; null for no limit. */
  readonly timeoutMs: number | null;
  /** True if a failure of this step does not fail the run. The output is then null. */
  readonly continueOnError: boolean;
  readonly inputSchema: z.ZodType;
  /** The value that the input schema makes of `input`; a null input may stand for none. @throws {StepValidationError} */
  readonly parseInput: (input: unknown) => Promise<unknown>;
  /** Runs the step on a parsed input. */
  readonly invoke: (input: unknown, ctx: StepContext) => Promise<unknown>;
  /** The value that the output schema makes of `returned`; undefined becomes null. @throws {StepValidationError} */
  readonly parseOutput: (returned: unknown) => Promise<unknown>;
  /** For the compiler only; it does not exist at run time. */
  readonly [stepTypes]?:
    | { readonly accepts: (input: Input) => void; readonly output: Output }
    | undefined;
}

export type StepOutput<Step> =
  Step extends StepDefinition<string, never, infer Output> ? Output : never;

/** What a step gets beside its input. It can be used until the attempt ends. */
export interface StepContext {
  readonly runId: string;
  readonly stepId: string;
  /**
   * 1 for the first attempt. The count continues after `engine.retry`. An attempt that a crash or a sleep interrupted
   * restarts under its own number.
   */
  readonly attempt: number;
  /**
   * Aborts when the result of the attempt will not be stored. The reason is `StepTimeoutError`, `StepSleepingError`,
   * `RunCancelledError`, `RunTimeoutError`, `LeaseLostError` or `EngineClosedError`.
   */
  readonly signal: AbortSignal;
  /** The engine's logger, which adds the ids of the run and the step, and the attempt. */
  readonly logger: BoundLogger;
  readonly state: StepState;

  /**
   * The output of a completed step of this workflow.
   *
   * @throws {StepOutputNotFoundError} if the step was skipped or has not ended.
   * @throws {InvalidArgumentError} if the step belongs to another workflow.
   */
  output<Output>(step: StepDefinition<string, never, Output>): Promise<Output>;

  /**
   * Ends the attempt and restarts it after `time` milliseconds, or at the date `time`. In the restarted attempt, and in
   * all later ones, the same call returns at once. The code before the call runs again: keep it short, or move it to
   * its own step.
   *
   * A sleeping step holds no lease and no worker. Do not call this inside `ctx.transaction`, and do not catch its
   * rejection.
   *
   * @throws {StepSleepingError} whenever it sleeps.
   * @throws {InvalidArgumentError} if `time` is not a time.
   */
  sleep(time: number | Date): Promise<void>;

  /**
   * `return ctx.transaction(async (tx) => …)`: the function's result is the step's output. The output, the completion
   * of the step, and what the function did through `tx` are committed together or not at all.
   *
   * The function runs after the step has returned, in a transaction of the store's database. It runs again if the
   * commit fails. On a libSQL server it has 5 seconds. `ctx.state` and `ctx.output` use the transaction inside the
   * function; writes of parallel steps wait for it.
   *
   * Name the type of `tx` if the store is not a `LibSQLStore`.
   *
   * @throws {UnsupportedError} if the store does not share a database with an app.
   * @throws {InvalidArgumentError} on a second call.
   */
  transaction<Output, Transaction = DrizzleTransaction>(
    work: (tx: Transaction) => Promise<Output> | Output,
  ): StepTransaction<Output>;
}

/** The state of a run. All its steps share it. */
export interface StepState {
  /**
   * The value of a key, or undefined if the key does not exist. With a schema: the value that the schema makes of it.
   *
   * @throws {StepValidationError} if the value does not fit the schema.
   */
  get(key: string): Promise<unknown>;
  get<Schema extends z.ZodType>(key: string, schema: Schema): Promise<z.output<Schema> | undefined>;

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

  /** All keys with their values. */
  all(): Promise<Record<string, unknown>>;
}

/** What Drizzle's `db.transaction` hands out: the transaction of an app on `LibSQLStore`. */
export type DrizzleTransaction = Parameters<
  Parameters<LibSQLDatabase<{}, Record<string, unknown>>["transaction"]>[0]
>[0];

/**
 * The result of `ctx.transaction`: work that the engine does after the step has returned this object.
 *
 * It is not a promise. Nothing has happened yet, so the engine can refuse a step that returns something else.
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
