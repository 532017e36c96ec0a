import type { StopSignal } from "../async/abort.ts";
import { Backoff, retry, retryFor } from "../async/retry.ts";
import { StoreBusyError } from "../errors.ts";
import { isBusy } from "./sqlite-errors.ts";

/** The waits between two tries. A lock is usually held for one commit, which takes a few milliseconds. */
export const busyBackoff = (): Backoff => new Backoff(2, 20);

export function busyError(busyTimeoutMs: number, cause: unknown): StoreBusyError {
  return new StoreBusyError(
    `the database was locked for ${busyTimeoutMs} ms: another process holds the lock, or a transaction of this ` +
      "one was left open",
    { cause },
  );
}

/**
 * The result of `work`, which is called again if it meets a lock. The event loop is not blocked meanwhile.
 *
 * @throws {StoreBusyError} if the lock is still held after `busyTimeoutMs`.
 * @throws the reason of `signal` once it aborts between two tries.
 */
export async function retryWhileBusy<T>(
  work: () => T | Promise<T>,
  busyTimeoutMs: number,
  signal?: StopSignal,
): Promise<T> {
  try {
    return await retry(work, retryFor(busyTimeoutMs, isBusy, busyBackoff()), signal);
  } catch (error) {
    throw isBusy(error) ? busyError(busyTimeoutMs, error) : error;
  }
}
