import { StoreBusyError } from "../errors.ts";

/** How long a call waits for a lock, and behind an open transaction. */
export const busyTimeoutMs = 5000;

/**
 * Runs a transaction with code of the caller. Calls `reject` for the calls that have waited for `busyTimeoutMs` behind it,
 * which entered before `time`. The transaction may never end, or may wait for one of them, because two stores can share a
 * connection.
 */
export async function whileOthersWait<T>(
  transaction: () => Promise<T>,
  reject: (time: number, error: StoreBusyError) => void,
): Promise<T> {
  const since = performance.now();
  const timer = setInterval(() => {
    const time = performance.now() - busyTimeoutMs;
    if (time < since) return;
    // Until here it keeps the process alive, so that those who wait are rejected. On edge runtimes it is a number.
    if (time >= since + busyTimeoutMs && typeof timer === "object") timer.unref();
    const reason = `a transaction was open for ${busyTimeoutMs} ms: it has not ended, or waits for this call`;
    reject(time, new StoreBusyError(reason));
  }, busyTimeoutMs / 10);
  try {
    return await transaction();
  } finally {
    clearInterval(timer);
  }
}
