/** Writers in the order of their coming: a transaction keeps those behind it waiting, a single write does not. */
export class WriteQueue {
  #busy = false;
  readonly #waiting: (() => void)[] = [];

  /** Runs `write` in its turn: at once, when nobody is writing. */
  async run<T>(write: () => T): Promise<T> {
    if (this.#busy) await this.#turn();
    else this.#busy = true;
    try {
      return write();
    } finally {
      this.#release();
    }
  }

  /** As `run`, for a write that takes time; others wait until it settles. */
  async runAsync<T>(write: () => Promise<T>): Promise<T> {
    if (this.#busy) await this.#turn();
    else this.#busy = true;
    try {
      return await write();
    } finally {
      this.#release();
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** The turn passes on without a moment in which a newcomer could take it. */
  #release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#busy = false;
    else next();
  }
}
