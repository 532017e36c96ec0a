import { outerFlow } from "../../async/flow.ts";
import { callAfter } from "../../async/pause.ts";
import type { Clock } from "../../store/clock.ts";

/** The worker's polling covers further times. */
const maxTimes = 1000;

/** Calls a function at many times with one timer. */
export class WakeTimer {
  readonly #clock: Clock;
  readonly #wake: () => void;
  readonly #times = new Set<number>();
  #next = Infinity;
  #cancel: () => void = () => {};

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Adds a time. It is ignored while 1000 times are pending. */
  add(at: Date): void {
    if (this.#times.size >= maxTimes) return;
    this.#times.add(at.getTime());
    if (at.getTime() < this.#next) this.#arm(at.getTime());
  }

  clear(): void {
    this.#cancel();
    this.#times.clear();
    this.#next = Infinity;
  }

  #arm(next: number): void {
    this.#cancel();
    this.#next = next;
    const ms = Math.max(0, next - this.#clock().getTime());
    // The timer may run for days and must not keep the asynchronous context of a request alive.
    this.#cancel = outerFlow(() => callAfter(ms, () => this.#fire()));
  }

  #fire(): void {
    // `#next` has passed, even if the clock was set back meanwhile.
    const passed = Math.max(this.#next, this.#clock().getTime());
    for (const time of this.#times) if (time <= passed) this.#times.delete(time);
    this.#next = Infinity;
    if (this.#times.size > 0) this.#arm(Math.min(...this.#times));
    this.#wake();
  }
}
