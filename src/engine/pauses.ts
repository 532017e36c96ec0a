import { maxTimerMs } from "../model/times.ts";

/** Resolves after `ms`, or as soon as `signal` aborts. It never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const finish = (): void => {
      cancel();
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const cancel = callAfter(ms, finish);
    signal?.addEventListener("abort", finish, { once: true });
  });
}

/**
 * What `promise` resolves to.
 *
 * @throws the reason of the signal, as soon as it aborts: the promise is not waited for then.
 */
export function unlessAborted<T>(promise: T | Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    Promise.resolve(promise)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", stop));
  });
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
