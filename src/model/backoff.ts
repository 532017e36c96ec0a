export type Backoff = "none" | "constant" | "linear" | "exponential";

/** The retries of a failed step. */
export interface RetryPolicy {
  /** The maximum number of attempts after the first one. */
  readonly maxRetries: number;
  readonly delayMs: number;
  /**
   * The delay before retry n: 0 (`none`), `delayMs` (`constant`), `delayMs × n` (`linear`), or `delayMs × 2^(n − 1)`
   * (`exponential`).
   */
  readonly backoff: Backoff;
}

/** The given parts of a retry policy. */
export type RetryOptions = {
  readonly [Part in keyof RetryPolicy]?: RetryPolicy[Part] | undefined;
};

/** A delay is at most a day. */
const maxRetryDelayMs = 24 * 60 * 60 * 1000;

/** The delay in milliseconds before retry number `retry`, from 1. */
export function retryDelayMs(
  { delayMs, backoff }: Omit<RetryPolicy, "maxRetries">,
  retry: number,
): number {
  // 2 ** 1024 is Infinity, and 0 times that is NaN.
  const doublings = Math.min(retry - 1, 1000);
  const factors = {
    none: 0,
    constant: 1,
    linear: retry,
    exponential: 2 ** doublings,
  } satisfies Record<Backoff, number>;
  return Math.min(maxRetryDelayMs, delayMs * factors[backoff]);
}
