import { onTestFinished, vi } from "vitest";

const { setImmediate: immediately } = globalThis;

/** Resolves after all microtasks. */
const settled = () => new Promise<void>((resolve) => immediately(resolve));

/**
 * Replaces the timers until the end of the test. Work inside `playOut` waits for no real time, and the same work always
 * runs in the same order.
 */
export function useVirtualTime(): void {
  const timers = ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] as const;
  // Without the real `setImmediate`, no turn of the event loop is due after some real time.
  vi.useFakeTimers({ toFake: [...timers, "setImmediate", "clearImmediate", "performance"] });
  // The delays of retries.
  const random = vi.spyOn(Math, "random").mockReturnValue(0.5);
  onTestFinished(() => {
    random.mockRestore();
    vi.useRealTimers();
  });
}

/** Settles like `work`. While everything waits, the next timer fires. @throws if that does not end the work. */
export async function playOut<T>(work: () => Promise<T>): Promise<T> {
  let isOver = false;
  const end = work().finally(() => (isOver = true));
  end.catch(() => {});
  for (let turns = 0; turns < maxTurns; turns++) {
    await settled();
    if (isOver) break;
    vi.advanceTimersToNextTimer();
  }
  vi.clearAllTimers();
  if (!isOver) throw new Error("the work does not end");
  return end;
}

const maxTurns = 20_000;

/** A clock that follows the timers. `skip` moves it as if the process had been suspended: no timer fires earlier. */
export function makeVirtualClock(): { (): Date; skip: (ms: number) => void } {
  let offset = Date.UTC(2030, 0, 1) - performance.now();
  return Object.assign(() => new Date(offset + performance.now()), {
    skip: (ms: number) => {
      offset += ms;
    },
  });
}

/** Resolves after `ms` of virtual time. */
export const delay = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
