import { GorkflowError } from "../errors.ts";

/** An error that the page shows. */
export interface ShownError {
  readonly code: string;
  readonly message: string;
}

/** A request that is refused. */
export class RefusedRequestError extends Error {
  override readonly name = "RefusedRequestError";
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 504;
  readonly code: string;
  constructor(status: RefusedRequestError["status"], code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const statuses: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  RUN_NOT_FOUND: 404,
  STEP_EXECUTION_NOT_FOUND: 404,
  RUN_TRANSITION: 409,
  REVISION_CONFLICT: 409,
  UNSUPPORTED: 501,
  STORE_BUSY: 503,
  STORE_CLOSED: 503,
  STORE_CONNECTION: 503,
};

/** The error of a read that takes too long. */
export const readTimeout = () =>
  new RefusedRequestError(
    504,
    "QUERY_TIMEOUT",
    "the database took too long to answer. A shorter period takes less time",
  );

/** The status and the text of an error. A driver's message is not shown, because it may contain values. */
export function describeError(error: unknown): { status: number; error: ShownError } {
  if (error instanceof RefusedRequestError) {
    return { status: error.status, error: { code: error.code, message: error.message } };
  }
  if (error instanceof GorkflowError) {
    const { code, message } = error;
    return { status: statuses[code] ?? 500, error: { code, message } };
  }
  const code = codeOf(error);
  if (code === "SQLITE_INTERRUPT") return describeError(readTimeout());
  const known = code === null ? "" : ` (${code})`;
  return { status: 500, error: { code: "INTERNAL", message: `the request failed${known}` } };
}

/** The code of a driver, which an error of Drizzle has as its cause. */
function codeOf(error: unknown): string | null {
  for (let link = error; link instanceof Error; link = link.cause) {
    if ("code" in link && typeof link.code === "string") return link.code;
  }
  return null;
}
