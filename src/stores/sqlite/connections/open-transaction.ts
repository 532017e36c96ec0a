import { StoreBusyError } from "../../../errors.ts";

/** How long a call waits for a lock, and behind an open transaction. */
export const busyTimeoutMs = 5000;

/**
 * Runs a transaction of which the code is not ours. Calls `reject` for calls that have waited for `busyTimeoutMs` behind
 * it: it may never end, or wait for one of them, as if two stores share a connection. They entered before `time`.
 */
export async function whileOthersWait<T>(
  transaction: () => Promise<T>,
  reject: (time: number, error: StoreBusyError) => void,
): Promise<T> {
  const since = performance.now();
  const timer = setInterval(() => {
    const time = performance.now() - busyTimeoutMs;
    if (time < since) return;
    const reason = `a transaction was open for ${busyTimeoutMs} ms: it has not ended, or waits for this call`;
    reject(time, new StoreBusyError(reason));
  }, busyTimeoutMs / 10);
  try {
    return await transaction();
  } finally {
    clearInterval(timer);
  }
}
