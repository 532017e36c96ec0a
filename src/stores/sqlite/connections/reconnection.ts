import type { GorkflowError } from "../../../errors.ts";
import { pauseAskedFor } from "../errors/symptoms.ts";

/** A server that restarts is back before this; what is down for longer is for the caller to know. */
const patienceMs = 5000;
const longestPauseMs = 500;

/** How long a lost connection has been tried again, for one operation. Times are those of `performance.now()`. */
export class Reconnection {
  #patienceEnds: number | null = null;
  #pauses = 0;

  /**
   * When to try again. A server that asks for a pause has it, as long as there is time for it until `deadline`.
   *
   * @throws the error, when trying again does not help, or has gone on for long enough.
   */
  nextTry(error: GorkflowError, deadline: number): number {
    const now = performance.now();
    this.#patienceEnds ??= now + patienceMs;
    const askedMs = pauseAskedFor(error.cause) ?? 0;
    const at = now + Math.max(askedMs, this.#pauseMs());
    const isPatient = askedMs > 0 || now < this.#patienceEnds;
    if (!error.retryable || !isPatient || at >= deadline) throw error;
    return at;
  }

  #pauseMs(): number {
    const pauseMs = Math.min(longestPauseMs, 10 * 2 ** this.#pauses);
    this.#pauses += 1;
    // Callers that were cut off together do not come back together.
    return pauseMs * (0.5 + Math.random() / 2);
  }
}
