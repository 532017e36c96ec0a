import { outerFlow } from "../../async/flow.ts";
import type { Clock } from "../../store/clock.ts";
import { callAfter } from "../../async/pause.ts";

/** What is beyond is found by polling. */
const maxTimes = 1000;

/** Rings at the times that it is set to. Setting it again forgets none of them, up to a bound. */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  readonly #times = new Set<number>();
  #next = Infinity;
  #cancel: () => void = () => {};

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  set(at: Date): void {
    if (this.#times.size >= maxTimes) return;
    this.#times.add(at.getTime());
    if (at.getTime() < this.#next) this.#arm(at.getTime());
  }

  /** Forgets all times. */
  clear(): void {
    this.#cancel();
    this.#times.clear();
    this.#next = Infinity;
  }

  #arm(next: number): void {
    this.#cancel();
    this.#next = next;
    const ms = Math.max(0, next - this.#clock().getTime());
    // A time that is days away must not keep the flow of the request that set it.
    this.#cancel = outerFlow(() => callAfter(ms, () => this.#fire()));
  }

  #fire(): void {
    // The time that was waited for, whatever the clock says: it is not waited for again.
    const passed = Math.max(this.#next, this.#clock().getTime());
    let next = Infinity;
    for (const time of this.#times) {
      if (time <= passed) this.#times.delete(time);
      else next = Math.min(next, time);
    }
    this.#next = Infinity;
    if (next !== Infinity) this.#arm(next);
    this.#ring();
  }
}
