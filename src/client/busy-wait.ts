import { setTimeout as sleep } from "node:timers/promises";
import { StoreBusyError } from "../errors.ts";
import { isBusy } from "./sqlite-errors.ts";

/** The longest pause between two tries; locks are held for a commit, which takes a few milliseconds. */
const longestPauseMs = 20;

/** Lets the event loop go on until it is worth trying again. Jitter keeps two waiters from colliding for ever. */
export async function pauseBeforeRetry(attempt: number): Promise<void> {
  await sleep(1 + Math.random() * Math.min(2 ** attempt, longestPauseMs));
}

export function busyError(busyTimeoutMs: number, cause: unknown): StoreBusyError {
  return new StoreBusyError(
    `the database was locked for ${busyTimeoutMs} ms: another process holds the lock, or a transaction of this ` +
      "one was left open",
    { cause },
  );
}

/**
 * What `work` gives; tried again, without blocking the event loop, for as long as it meets a lock.
 *
 * @throws {StoreBusyError} when it still does after `busyTimeoutMs`.
 */
export async function retryWhileBusy<T>(work: () => T, busyTimeoutMs: number): Promise<T> {
  const deadline = performance.now() + busyTimeoutMs;
  for (let attempt = 0; ; attempt++) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (performance.now() >= deadline) throw busyError(busyTimeoutMs, error);
      await pauseBeforeRetry(attempt);
    }
  }
}
