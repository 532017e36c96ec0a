/** Runs one piece of work at a time, in the order in which the work was given. */
export class Mutex {
  #busy = false;
  readonly #waiting: (() => void)[] = [];

  /** Runs `work` in its turn: in this call if nothing else runs, otherwise when all earlier work has ended. */
  async run<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#busy) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#busy = true;
    try {
      const result = work();
      // Awaiting a plain value would cost a turn of the microtask queue.
      return result instanceof Promise ? await result : result;
    } finally {
      // The turn is handed over directly: work that is given now cannot overtake work that waits.
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy = false;
      else next();
    }
  }
}
