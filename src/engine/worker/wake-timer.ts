import { outerFlow } from "../../async/flow.ts";
import { callAfter } from "../../async/pause.ts";
import type { Clock } from "../../store/clock.ts";

/** The worker's polling covers further times. */
const maxTimes = 1000;

/** Calls a function at many times. */
export class WakeTimer {
  readonly #clock: Clock;
  readonly #wake: () => void;
  /** The times, each with the function that cancels its timer. */
  readonly #timers = new Map<number, () => void>();

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Adds a time. It is ignored while 1000 times are pending. */
  add(at: Date): void {
    const time = at.getTime();
    if (this.#timers.size >= maxTimes || this.#timers.has(time)) return;
    const fire = (): void => {
      this.#timers.delete(time);
      this.#wake();
    };
    const ms = Math.max(0, time - this.#clock().getTime());
    // The timer may run for days and must not keep the asynchronous context of a request alive.
    const cancel = outerFlow(() => callAfter(ms, fire));
    this.#timers.set(time, cancel);
  }

  clear(): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }
}
