import { onAbort, type StopSignal } from "./abort.ts";

/** The longest delay of one timer. */
export const maxTimerMs = 2_147_483_647;

interface TimerOptions {
  /** True if the process may exit before. */
  readonly unref?: boolean;
}

/** Calls `work` after `ms`, of any length, unless the returned function is called first. */
export function callAfter(
  ms: number,
  work: () => void,
  { unref = false }: TimerOptions = {},
): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const arm = (left: number): void => {
    timer = setTimeout(
      () => (left > maxTimerMs ? arm(left - maxTimerMs) : work()),
      Math.min(left, maxTimerMs),
    );
    // On edge runtimes it is a number.
    if (unref && typeof timer === "object") timer.unref();
  };
  arm(ms);
  return () => clearTimeout(timer);
}

/** Resolves after `ms`, or as soon as `signal` aborts. Never rejects. */
export function pause(ms: number, signal?: StopSignal, options?: TimerOptions): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const finish = (): void => {
      cancel();
      unsubscribe();
      resolve();
    };
    const cancel = callAfter(ms, finish, options);
    const unsubscribe = onAbort(signal, finish);
  });
}

/** The functions of the runtime, also while a test has replaced them with fake timers. */
const { setImmediate: immediately, setTimeout: later } = globalThis;
const elapsed = performance.now.bind(performance);

/** Resolves after pending timers and I/O. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof immediately === "function") immediately(resolve);
    else later(resolve, 0);
  });
}

/** How long a chain of awaited calls may hold the event loop. */
const maxHoldMs = 8;

let lastTurnAt = elapsed();
let turn: Promise<void> | null = null;

/**
 * A turn of the event loop to wait for, or null if none is due.
 *
 * Calls of a local store may resolve without leaving the microtask queue, so a loop of such calls would block timers.
 * All callers wait for the same turn, so that none overtakes another. None is due under the fake timers of a test, whose clock
 * would advance during the turn.
 */
export function dueTurn(): Promise<void> | null {
  if (turn !== null) return turn;
  if (globalThis.setImmediate !== immediately) return null;
  if (elapsed() - lastTurnAt < maxHoldMs) return null;
  return (turn = nextTurn().then(() => {
    lastTurnAt = elapsed();
    turn = null;
  }));
}
