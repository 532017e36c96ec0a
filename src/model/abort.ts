/** What was begun under a signal and has not ended, each with what tells it of an abort. */
const underWay = new WeakMap<AbortSignal, Map<object, (reason: unknown) => void>>();

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
  const operations = underWay.get(signal)?.keys() ?? [];
  await Promise.allSettled(Array.from(operations, async (operation) => operation));
}

/**
 * Runs `work` under a signal of its own that aborts when `signal` does. Settles only when everything that `work`
 * began under it has really ended.
 */
export async function untilEnded<T>(
  signal: AbortSignal,
  work: (own: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const own = new AbortController();
  const operations = operationsUnder(signal);
  operations.set(own, (reason) => own.abort(reason));
  try {
    return await work(own.signal);
  } finally {
    operations.delete(own);
    await operationsEnded(own.signal);
  }
}

function operationsUnder(signal: AbortSignal): Map<object, (reason: unknown) => void> {
  const known = underWay.get(signal);
  if (known !== undefined) return known;
  const operations = new Map<object, (reason: unknown) => void>();
  underWay.set(signal, operations);
  signal.addEventListener("abort", () => operations.forEach((tell) => tell(signal.reason)), {
    once: true,
  });
  return operations;
}
