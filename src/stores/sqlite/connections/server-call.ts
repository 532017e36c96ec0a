import { Backoff } from "../../../async/retry.ts";
import { ConstraintError, StoreConnectionError, type GorkflowError } from "../../../errors.ts";
import { sentTwiceError, type StatementResult, type WriteOptions } from "./connection.ts";
import { examine, isGuardFailure } from "../errors/symptoms.ts";
import type { Attempt } from "../errors/translate.ts";
import type { BoundStatement } from "../statements/statement.ts";

/** One call to the server: its statements, its retries, and its answer, which comes before the deadline. */
export class ServerCall {
  readonly statements: readonly BoundStatement[];
  readonly attempt: Attempt;
  readonly repeatable: boolean;
  readonly answer: Promise<readonly StatementResult[]>;
  /** Resolves when the caller has an answer and no request is under way, so that nothing is written later. */
  readonly ended: Promise<void>;
  /** On the clock of `performance.now()`. */
  readonly deadline: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onSentAgain: (() => void) | undefined;
  #resolve!: (results: readonly StatementResult[]) => void;
  #reject!: (error: unknown) => void;
  #resolveEnded!: () => void;
  #isOpen = true;
  #sendings = 0;
  #isUnderWay = false;
  /** The error of an earlier request that may have been written. */
  #undecided: GorkflowError | null = null;

  constructor(
    statements: readonly BoundStatement[],
    attempt: Attempt,
    timeoutMs: number,
    { repeatable = false, signal, onSentAgain }: WriteOptions = {},
  ) {
    this.statements = statements;
    this.attempt = attempt;
    this.repeatable = repeatable;
    this.#signal = signal;
    this.#onSentAgain = onSentAgain;
    this.deadline = performance.now() + timeoutMs;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    const timer = setTimeout(() => this.#expire(timeoutMs), timeoutMs);
    void this.ended.then(() => clearTimeout(timer));
  }

  /** False if the caller has an answer or has aborted. Nothing more is sent then. */
  get isOpen(): boolean {
    // The caller has the reason already. The mirror still needs to know whether the write may take effect.
    if (this.#signal?.aborted) this.fail(this.#undecided ?? this.#signal.reason);
    return this.#isOpen;
  }

  noteSending(): void {
    this.#sendings += 1;
    this.#isUnderWay = true;
    if (this.#sendings > 1) this.#onSentAgain?.();
  }

  /** The request has failed. The call may continue with another one. */
  noteFailure(error: GorkflowError): void {
    if (isUndecided(error)) this.#undecided = error;
    this.#isUnderWay = false;
    if (!this.#isOpen) this.#resolveEnded();
  }

  /** The database undid the last request, so the next one is not a repetition. */
  noteUndone(): void {
    this.#sendings -= 1;
  }

  succeed(results: readonly StatementResult[]): void {
    this.#isUnderWay = false;
    this.#end(() => this.#resolve(results));
  }

  /** If an earlier request may have been written, the rejection of a later one does not change that. */
  fail(error: unknown): void {
    const isRefusal = error instanceof StoreConnectionError && error.outcome === "none";
    const told = isRefusal ? (this.#undecided ?? error) : error;
    const isStopped = error instanceof ConstraintError || isGuardFailure(error);
    // The cause is left out: a failed guard would make the caller report the precondition.
    const isOfSecond = isStopped && this.#sendings > 1 && !this.repeatable;
    this.#end(() =>
      this.#reject(isOfSecond ? sentTwiceError(isGuardFailure(error) ? undefined : error) : told),
    );
  }

  #expire(timeoutMs: number): void {
    const isUnknown = this.attempt === "write" && (this.#isUnderWay || this.#undecided !== null);
    this.fail(
      new StoreConnectionError({
        reason: `the server did not answer within ${timeoutMs} ms`,
        outcome: isUnknown ? "unknown" : "none",
        retryable: true,
      }),
    );
  }

  #end(settle: () => void): void {
    if (this.#isOpen) settle();
    this.#isOpen = false;
    if (!this.#isUnderWay) this.#resolveEnded();
  }
}

/** True if it is unknown whether the statements were written. */
export function isUndecided(error: GorkflowError): boolean {
  return error instanceof StoreConnectionError && error.outcome === "unknown";
}

/** A server that restarts is back within this time. After it, the caller gets the error. */
const patienceMs = 5000;

/** The retries of one operation after a lost connection. Times are those of `performance.now()`. */
export class Reconnection {
  #patienceEnds: number | null = null;
  readonly #backoff = new Backoff(10, 500);

  /**
   * The time of the next try. A pause that the server asks for is kept if it ends before `deadline`.
   *
   * @throws the error if another try does not help, or if there is no time left.
   */
  nextTry(error: GorkflowError, deadline: number): number {
    const now = performance.now();
    this.#patienceEnds ??= now + patienceMs;
    const askedMs = examine(error.cause).retryAfterMs ?? 0;
    const at = now + Math.max(askedMs, this.#backoff.next());
    const isPatient = askedMs > 0 || now < this.#patienceEnds;
    if (!error.retryable || !isPatient || at >= deadline) throw error;
    return at;
  }
}
