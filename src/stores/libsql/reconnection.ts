import { StoreConnectionError, type GorkflowError } from "../../errors.ts";

/** A server that restarts is back before this; what is down for longer is for the caller to know. */
const patienceMs = 5000;
const longestPauseMs = 500;

/** How long a lost connection has been tried again, for one operation. */
export class Reconnection {
  #deadline: number | null = null;
  #pauses = 0;
  #undecided: GorkflowError | null = null;

  /**
   * Resolves when it is time to try again.
   *
   * @throws the error, when it is none that trying again can help, or when it has been tried for long enough. When
   * an earlier sending may have been written, that is what it says: a later one that was refused does not undo it.
   */
  async pause(error: GorkflowError): Promise<void> {
    const now = Date.now();
    this.#deadline ??= now + patienceMs;
    if (isUndecided(error)) this.#undecided = error;
    if (!error.retryable || now >= this.#deadline) throw this.#undecided ?? error;
    const pauseMs = Math.min(longestPauseMs, 10 * 2 ** this.#pauses);
    this.#pauses += 1;
    // Callers that were cut off together do not come back together.
    await new Promise((resolve) => {
      setTimeout(resolve, pauseMs * (0.5 + Math.random() / 2));
    });
  }
}

/** True when nobody knows whether what was sent was written. */
export function isUndecided(error: GorkflowError): boolean {
  return error instanceof StoreConnectionError && error.outcome === "unknown";
}
