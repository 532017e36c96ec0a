/** The operations that were begun under a signal and have not ended, each with what tells its caller of an abort. */
const underWay = new WeakMap<AbortSignal, Map<Promise<unknown>, (reason: unknown) => void>>();

/**
 * The operation's outcome, or the signal's reason when that comes first. An aborted operation may continue:
 * `operationsEnded` waits for it. However many operations share a signal, it has one listener.
 */
export function untilAborted<T>(
  signal: AbortSignal | undefined,
  operation: Promise<T>,
): Promise<T> {
  if (signal === undefined) return operation;
  const operations = operationsUnder(signal);
  return new Promise((resolve, reject) => {
    operations.set(operation, reject);
    if (signal.aborted) reject(signal.reason as unknown);
    operation.then(resolve, reject).finally(() => operations.delete(operation));
  });
}

/**
 * Resolves when every operation that was begun under the signal has really ended, those that were aborted
 * included: nothing of them is written later.
 */
export async function operationsEnded(signal: AbortSignal): Promise<void> {
  await Promise.allSettled([...(underWay.get(signal)?.keys() ?? [])]);
}

function operationsUnder(signal: AbortSignal): Map<Promise<unknown>, (reason: unknown) => void> {
  const known = underWay.get(signal);
  if (known !== undefined) return known;
  const operations = new Map<Promise<unknown>, (reason: unknown) => void>();
  underWay.set(signal, operations);
  signal.addEventListener("abort", () => operations.forEach((reject) => reject(signal.reason)), {
    once: true,
  });
  return operations;
}
