/** The parts of an `AbortSignal` that this package uses. */
export interface StopSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** An abort controller and its signal in one. It takes any number of listeners: Node's own warns beyond ten. */
export class Stopper implements StopSignal {
  readonly #listeners = new Set<() => void>();
  #aborted = false;
  #reason: unknown = undefined;

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** A second call changes nothing. */
  abort(reason?: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.delete(listener);
  }
}

/** The unfinished operations of each signal, with the function to call at an abort. */
const underWay = new WeakMap<StopSignal, Map<object, (reason: unknown) => void>>();

/**
 * Settles like the operation, or rejects with the signal's reason if that aborts first. The operation may then continue;
 * `operationsEnded` waits for it. All operations of a signal share one listener.
 */
export function untilAborted<T>(signal: StopSignal | undefined, operation: Promise<T>): Promise<T> {
  if (signal === undefined) return operation;
  const operations = operationsUnder(signal);
  return new Promise((resolve, reject) => {
    operations.set(operation, reject);
    if (signal.aborted) reject(signal.reason);
    operation.then(resolve, reject).finally(() => operations.delete(operation));
  });
}

/**
 * Calls `callback` and waits for its result. It is not an operation of the signal: `operationsEnded` does not wait for it.
 *
 * @throws its error, or the signal's reason if that aborts first.
 */
export async function callUntilAborted<Told>(
  callback: ((told: Told) => unknown) | undefined,
  told: Told,
  signal: StopSignal | undefined,
): Promise<void> {
  const result = callback?.(told);
  await new Promise<unknown>((resolve, reject) => {
    const end = onAbort(signal, () => reject(signal?.reason));
    Promise.resolve(result).then(resolve, reject).finally(end);
  });
}

/**
 * Resolves when every operation that was started under the signal has ended, aborted ones included: none of them
 * writes anything later. Returns the errors of those that failed.
 */
export async function operationsEnded(signal: StopSignal): Promise<unknown[]> {
  const operations = underWay.get(signal)?.keys() ?? [];
  const outcomes = await Promise.allSettled(Array.from(operations, async (each) => each));
  return outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
}

/**
 * Runs `work` with its own signal, which aborts when `signal` does. Settles after all operations of that signal have ended.
 */
export async function untilEnded<T>(
  signal: StopSignal,
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

/** Calls `listener` when the signal aborts, or at once if it has aborted. The returned function prevents the call. */
export function onAbort(signal: StopSignal | undefined, listener: () => void): () => void {
  if (signal?.aborted === true) listener();
  if (signal === undefined || signal.aborted) return () => {};
  const operations = operationsUnder(signal);
  const own = {};
  operations.set(own, listener);
  return () => operations.delete(own);
}

function operationsUnder(signal: StopSignal): Map<object, (reason: unknown) => void> {
  const known = underWay.get(signal);
  if (known !== undefined) return known;
  const operations = new Map<object, (reason: unknown) => void>();
  underWay.set(signal, operations);
  signal.addEventListener("abort", () => operations.forEach((tell) => tell(signal.reason)));
  return operations;
}
