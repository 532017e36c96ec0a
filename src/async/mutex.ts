interface Waiting {
  /** In milliseconds of `performance.now()`. */
  readonly since: number;
  start(): void;
  reject(error: unknown): void;
}

/** Runs one piece of work at a time, or `width` pieces. They start in the order of the calls. */
export class Mutex {
  #free: number;
  readonly #waiting: Waiting[] = [];

  constructor(width = 1) {
    this.#free = width;
  }

  /** Runs `work` immediately if there is room, otherwise after earlier work has ended. */
  async run<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn();
    try {
      const result = work();
      // Awaiting a plain value would cost a turn of the microtask queue.
      return result instanceof Promise ? await result : result;
    } finally {
      // The turn passes directly to the next one, so that new work cannot overtake waiting work.
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next.start();
    }
  }

  /** Rejects the calls that have waited since before `time`, of `performance.now()`. Their work is not run. */
  rejectWaiting(time: number, error: unknown): void {
    while (this.#waiting[0] !== undefined && this.#waiting[0].since < time) {
      this.#waiting.shift()?.reject(error);
    }
  }

  #turn(): Promise<void> {
    return new Promise((start, reject) => {
      this.#waiting.push({ since: performance.now(), start, reject });
    });
  }
}
