/** A clock that tests set. */
export class TestClock {
  #time: number;

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#time = start;
  }

  /** Returns the current time. Pass it as the `clock` of a store. */
  readonly now = (): Date => new Date(this.#time);

  advance(ms: number): void {
    this.#time += ms;
  }
}
