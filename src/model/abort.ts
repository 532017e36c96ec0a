/** The operation's outcome, or the signal's reason when that comes first. */
export function untilAborted<T>(
  signal: AbortSignal | undefined,
  operation: Promise<T>,
): Promise<T> {
  if (signal === undefined) return operation;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as unknown);
    signal.addEventListener("abort", abort, { once: true });
    operation.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
