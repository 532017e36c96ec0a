import { StoreConnectionError } from "../../errors.ts";
import type { Attempt } from "./error-translation.ts";

export type Fetch = (request: Request) => Promise<Response>;

/** How long a server may take for one answer, where the caller does not say. */
export const defaultTimeoutMs = 30_000;

/** A fetch that gives up, and frees its connection, when the whole answer has not come in time. */
export function askWithin(timeoutMs: number): Fetch {
  return async (request) => {
    // Node's fetch overlooks that a connection is closed while it still loads its parser of HTTP, as it does for the
    // first one of a process: it never settles, and has nothing open. The timer of the signal does not keep a process
    // alive, which would end in the middle of all this, with code 13 and without a word.
    const alive = setInterval(() => {}, timeoutMs);
    try {
      return await fetch(request, { signal: AbortSignal.timeout(timeoutMs) });
    } finally {
      clearInterval(alive);
    }
  };
}

/**
 * What the request gives, when it comes in time.
 *
 * @throws {StoreConnectionError} otherwise, after `abandon` was called.
 */
export async function within<T>(
  timeoutMs: number,
  attempt: Attempt,
  request: Promise<T>,
  abandon: () => void,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      abandon();
      reject(
        new StoreConnectionError({
          reason: `the server did not answer within ${timeoutMs} ms`,
          outcome: attempt === "write" ? "unknown" : "none",
          retryable: true,
        }),
      );
    }, timeoutMs);
  });
  try {
    return await Promise.race([request, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
