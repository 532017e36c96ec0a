import type { StopSignal } from "../async/abort.ts";
import { Backoff, retry, retryFor } from "../async/retry.ts";
import { GorkflowError } from "../errors.ts";

/**
 * The result of `work`, which is called again for `patienceMs` while the store is busy or away.
 *
 * @throws the last error, or the reason of the signal once it aborts between two tries.
 */
export function retryWhileBusy<T>(
  work: () => Promise<T>,
  { patienceMs, signal }: { readonly patienceMs: number; readonly signal: StopSignal },
): Promise<T> {
  return retry(work, retryFor(patienceMs, isTransient, new Backoff(10, 500)), signal);
}

/** True for an error of the store that another try may not meet. */
export function isTransient(error: unknown): boolean {
  return error instanceof GorkflowError && error.retryable;
}

/** A bell that is heard even when it rings while nobody listens. */
export class WakeUp {
  #rung = false;
  #listener: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#listener?.();
  }

  /** Resolves at the next ring, at once after one that nobody has heard, or after `ms`. True for a ring. */
  async wait(ms: number | null): Promise<boolean> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const timer = ms === null ? null : setTimeout(resolve, ms);
        this.#listener = () => {
          if (timer !== null) clearTimeout(timer);
          resolve();
        };
      });
      this.#listener = null;
    }
    const rung = this.#rung;
    this.#rung = false;
    return rung;
  }
}
