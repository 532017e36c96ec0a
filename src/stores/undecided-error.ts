import { StoreBusyError, StoreConnectionError } from "../errors.ts";

/** The error of an operation of several requests, of which an earlier one may have been committed. */
export function undecidedError(error: unknown): unknown {
  const isRefusal =
    error instanceof StoreBusyError ||
    (error instanceof StoreConnectionError && error.outcome === "none");
  if (!isRefusal) return error;
  const { message: reason, retryable } = error;
  return new StoreConnectionError({ reason, retryable, outcome: "unknown" }, { cause: error });
}
