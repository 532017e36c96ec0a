export type Fetch = (request: Request) => Promise<Response>;

/** How long a call may take on a server, where the caller does not say. */
export const defaultTimeoutMs = 30_000;

/** What comes in the place of an answer when it does not come in time. */
export class ServerTimeoutError extends Error {
  override readonly name = "TimeoutError";
  constructor(timeoutMs: number) {
    super(`the server did not answer within ${timeoutMs} ms`);
  }
}

/** An answer over HTTP that is not one of the database: that of a gateway, or of a server that does not take requests. */
class HttpAnswerError extends Error {
  override readonly name = "HttpAnswerError";
  readonly code = "HTTP_STATUS";
  readonly status: number;
  readonly retryAfterMs: number | null;
  constructor(status: number, said: string, retryAfterMs: number | null) {
    super(`the server answered with HTTP status ${status}${said === "" ? "" : `: ${said}`}`);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * A fetch that gives up, and frees its connection, when the whole answer has not come in time. An answer that is an
 * error becomes one here: the client takes any JSON with a message for the word of the database.
 */
export function askWithin(timeoutMs: number): Fetch {
  return async (request) => {
    // Node's fetch overlooks that a connection is closed while it still loads its parser of HTTP, as it does for the
    // first one of a process: it never settles, and has nothing open. The timer of the signal does not keep a process
    // alive, which would end in the middle of all this, with code 13 and without a word.
    const alive = setInterval(() => {}, timeoutMs);
    try {
      const response = await fetch(request, { signal: AbortSignal.timeout(timeoutMs) });
      if (response.ok) return response;
      const said = wordsOf(await response.text());
      throw new HttpAnswerError(
        response.status,
        said,
        delayOf(response.headers.get("retry-after")),
      );
    } finally {
      clearInterval(alive);
    }
  };
}

/** What a server says of an error. Pages and echoes of the request are left out: they may quote anything. */
function wordsOf(body: string): string {
  const text = body.trim();
  const said = /^[{[<]/.test(text) ? messageOf(text) : text;
  return said.length > 200 ? "" : said;
}

function messageOf(text: string): string {
  try {
    const { error, message } = JSON.parse(text) as Record<string, unknown>;
    return [error, message].find((each) => typeof each === "string") ?? "";
  } catch {
    return "";
  }
}

/** The delay that `Retry-After` asks for, in seconds or until a date; null when it says nothing that is understood. */
function delayOf(header: string | null): number | null {
  if (header === null) return null;
  if (/^\s*\d+(\.\d+)?\s*$/.test(header)) return Number(header) * 1000;
  const until = Date.parse(header);
  return Number.isNaN(until) ? null : Math.max(0, until - Date.now());
}

/**
 * What the request gives, when it comes in time.
 *
 * @throws {ServerTimeoutError} otherwise, after `abandon` was called.
 */
export async function within<T>(
  timeoutMs: number,
  request: Promise<T>,
  abandon: () => void,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      abandon();
      reject(new ServerTimeoutError(timeoutMs));
    }, timeoutMs);
  });
  try {
    return await Promise.race([request, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
