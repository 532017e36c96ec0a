export type Fetch = (request: Request) => Promise<Response>;

/** The default time limit of a call to a server. */
export const defaultTimeoutMs = 30_000;

/** The answer did not come in time. */
export class ServerTimeoutError extends Error {
  override readonly name = "TimeoutError";
  constructor(timeoutMs: number) {
    super(`the server did not answer within ${timeoutMs} ms`);
  }
}

/** An HTTP error that does not come from the database, but from a gateway or an unavailable server. */
class HttpAnswerError extends Error {
  override readonly name = "HttpAnswerError";
  readonly code: "HTTP_STATUS" | "HTTP_PAGE";
  readonly status: number;
  readonly retryAfterMs: number | null;
  constructor(status: number, body: string, retryAfterMs: number | null) {
    const said = wordsOf(body);
    super(`the server answered with HTTP status ${status}${said === "" ? "" : `: ${said}`}`);
    this.code = body.trimStart().startsWith("<") ? "HTTP_PAGE" : "HTTP_STATUS";
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * A `fetch` that fails and closes its connection if the whole answer does not come in time. Error statuses become errors
 * here, because the client would treat any JSON with a message as an error of the database.
 */
export function askWithin(timeoutMs: number): Fetch {
  return async (request) => {
    // The first fetch of a process never settles if its connection is closed while Node loads its HTTP parser. The timer
    // of the signal does not keep the process alive, which would then end with code 13 and no message.
    const alive = setInterval(() => {}, timeoutMs);
    try {
      const response = await fetch(request, { signal: AbortSignal.timeout(timeoutMs) });
      if (response.ok) return response;
      const { status, headers } = response;
      const body = await response.text();
      throw new HttpAnswerError(status, body, delayOf(headers.get("retry-after")));
    } finally {
      clearInterval(alive);
    }
  };
}

/** The error message of a server. Pages and long texts are dropped, because they may quote the request. */
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

/** The delay of a `Retry-After` header in milliseconds; null if it has none. */
function delayOf(header: string | null): number | null {
  if (header === null) return null;
  if (/^\s*\d+(\.\d+)?\s*$/.test(header)) return Number(header) * 1000;
  const until = Date.parse(header);
  return Number.isNaN(until) ? null : Math.max(0, until - Date.now());
}

/**
 * The result of the request if it comes in time.
 *
 * @throws {ServerTimeoutError} if it does not, after a call of `abandon`.
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
