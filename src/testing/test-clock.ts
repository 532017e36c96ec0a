/** A clock that moves only when it is told to. */
export class TestClock {
  #time: number;

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#time = start;
  }

  /** The current time, as a store's `clock` option takes it. */
  readonly now = (): Date => new Date(this.#time);

  advance(ms: number): void {
    this.#time += ms;
  }
}
