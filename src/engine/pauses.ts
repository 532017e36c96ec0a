import { GorkflowError } from "../errors.ts";
import { maxTimerMs } from "../model/times.ts";

/** What an `AbortSignal` offers, as far as the engine needs it. */
export interface StopSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** An abort controller and its signal in one. Any number may listen: Node's own signal warns beyond ten. */
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

/** Resolves after `ms`, or as soon as `signal` aborts. It never rejects. */
export function pause(ms: number, signal?: StopSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const finish = (): void => {
      cancel();
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const cancel = callAfter(ms, finish);
    signal?.addEventListener("abort", finish);
  });
}

/**
 * What `promise` resolves to.
 *
 * @throws the reason of the signal, as soon as it aborts: the promise is not waited for then.
 */
export function unlessAborted<T>(promise: T | Promise<T>, signal: StopSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    Promise.resolve(promise)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", stop));
  });
}

/**
 * Does `work` again while it fails with an error that is worth it, for up to `patienceMs`.
 *
 * @throws the last error, and the reason of the signal when it aborts between two tries.
 */
export async function retryWhileBusy<T>(
  work: () => Promise<T>,
  { patienceMs, signal }: { readonly patienceMs: number; readonly signal: StopSignal },
): Promise<T> {
  const backoff = new Backoff(10, 500);
  const giveUpAt = performance.now() + patienceMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const ms = backoff.next();
      if (!isTransient(error) || performance.now() + ms > giveUpAt) throw error;
      await pause(ms, signal);
      signal.throwIfAborted();
    }
  }
}

/** True for an error of the store that another try may not meet. */
export function isTransient(error: unknown): boolean {
  return error instanceof GorkflowError && error.retryable;
}
/** Calls `work` after `ms`, however long that is, unless what is returned is called before. */
export function callAfter(ms: number, work: () => void): () => void {
  let timer: NodeJS.Timeout;
  const arm = (left: number): void => {
    timer = setTimeout(
      () => (left > maxTimerMs ? arm(left - maxTimerMs) : work()),
      Math.min(left, maxTimerMs),
    );
  };
  arm(ms);
  return () => clearTimeout(timer);
}

/**
 * Waits that double from `minMs` to `maxMs`, each shortened by up to half at random: workers that were idle
 * together do not ask together.
 */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  #nextMs: number;

  constructor(minMs: number, maxMs: number) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#nextMs = minMs;
  }

  next(): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(this.#maxMs, ms * 2);
    return ms * (0.5 + Math.random() / 2);
  }

  reset(): void {
    this.#nextMs = this.#minMs;
  }
}

/** A bell that is heard even when it rings while nobody listens. */
export class WakeUp {
  #rung = false;
  #listener: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#listener?.();
  }

  /** Resolves at the next ring, at once after one that nobody has heard, or after `ms`. True for a ring. */
  async wait(ms: number | null): Promise<boolean> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const timer = ms === null ? null : setTimeout(resolve, ms);
        this.#listener = () => {
          if (timer !== null) clearTimeout(timer);
          resolve();
        };
      });
      this.#listener = null;
    }
    const rung = this.#rung;
    this.#rung = false;
    return rung;
  }
}

const longestTurnMs = 10;
let turnBeganAt: number | null = null;

/**
 * Lets timers and input have their turn when it is due.
 *
 * Calls of a local store may resolve without ever leaving the microtask queue: a loop over them would keep
 * heartbeats from beating.
 */
export async function breathe(): Promise<void> {
  const now = performance.now();
  if (turnBeganAt === null) {
    turnBeganAt = now;
    setTimeout(() => (turnBeganAt = null), 0);
  } else if (now - turnBeganAt > longestTurnMs) {
    await pause(0);
    turnBeganAt = null;
  }
}
