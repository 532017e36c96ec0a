import type { StopSignal } from "./abort.ts";
import { pause } from "./pause.ts";

/** Returns the delay in milliseconds before the next try, or null to give up. */
export type RetryPolicy = (error: unknown) => number | null;

/**
 * Returns the result of `work`. Retries it as `policy` decides.
 *
 * @throws the last error of `work`, or the reason of `signal` once it aborts between two tries.
 */
export async function retry<T>(
  work: () => T | Promise<T>,
  policy: RetryPolicy,
  signal?: StopSignal,
): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const ms = policy(error);
      if (ms === null) throw error;
      await pause(ms, signal);
      signal?.throwIfAborted();
    }
  }
}

/** Retries errors that `isTransient` accepts for `patienceMs`, counted from now. The last try is made at its end. */
export function retryFor(
  patienceMs: number,
  isTransient: (error: unknown) => boolean,
  backoff: Backoff,
): RetryPolicy {
  const deadline = performance.now() + patienceMs;
  return (error) => {
    const left = deadline - performance.now();
    return left > 0 && isTransient(error) ? Math.min(left, backoff.next()) : null;
  };
}

/**
 * Delays that double from `minMs` to `maxMs`. Each is shortened by up to half at random, so that callers that failed
 * together do not retry together.
 */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  #nextMs: number;

  constructor(minMs: number, maxMs: number) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#nextMs = minMs;
  }

  next(): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(this.#maxMs, ms * 2);
    return ms * (0.5 + Math.random() / 2);
  }

  reset(): void {
    this.#nextMs = this.#minMs;
  }
}
