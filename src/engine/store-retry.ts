import type { StopSignal } from "../async/abort.ts";
import { Backoff, retry, retryFor, type RetryPolicy } from "../async/retry.ts";
import { GorkflowError, StoreBusyError } from "../errors.ts";

/**
 * Returns the result of `work`. Retries it for `ms` after the first failure, by default while the store is busy or
 * unreachable.
 *
 * @throws the last error, or the reason of `signal` once it aborts between two tries.
 */
export function retryWhileBusy<T>(
  work: () => Promise<T>,
  ms: number,
  signal: StopSignal,
  isRetried = isTransient,
): Promise<T> {
  let policy: RetryPolicy | null = null;
  const decide: RetryPolicy = (error) =>
    (policy ??= retryFor(ms, isRetried, new Backoff(10, 500)))(error);
  return retry(work, decide, signal);
}

/** True for a store error that a retry may avoid. */
export function isTransient(error: unknown): boolean {
  return error instanceof GorkflowError && error.retryable;
}

/** True if another writer holds the database. */
export const isBusy = (error: unknown): boolean => error instanceof StoreBusyError;
