export type Backoff = "none" | "linear" | "exponential";

/** How a step is tried again after a failure. */
export interface RetryPolicy {
  /** Tries after the first one. */
  readonly maxRetries: number;
  readonly delayMs: number;
  /** The wait before retry n: `delayMs`, `delayMs × n`, or `delayMs × 2^(n − 1)`. */
  readonly backoff: Backoff;
}

/** No wait is longer than a day, whatever the arithmetic says. */
const maxRetryDelayMs = 24 * 60 * 60 * 1000;

/** The wait before retry number `retry` (1 for the first), in milliseconds. */
export function retryDelayMs(
  { delayMs, backoff }: Omit<RetryPolicy, "maxRetries">,
  retry: number,
): number {
  // 2 ** 1024 is Infinity, and 0 times that is NaN.
  const doublings = Math.min(retry - 1, 1000);
  const factors = { none: 1, linear: retry, exponential: 2 ** doublings } satisfies Record<
    Backoff,
    number
  >;
  return Math.min(maxRetryDelayMs, delayMs * factors[backoff]);
}
