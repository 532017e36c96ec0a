import { Backoff } from "../../../async/retry.ts";
import type { GorkflowError } from "../../../errors.ts";
import { pauseAskedFor } from "../errors/symptoms.ts";

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
    const askedMs = pauseAskedFor(error.cause) ?? 0;
    const at = now + Math.max(askedMs, this.#backoff.next());
    const isPatient = askedMs > 0 || now < this.#patienceEnds;
    if (!error.retryable || !isPatient || at >= deadline) throw error;
    return at;
  }
}
