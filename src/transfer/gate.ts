/** Lets calls pass, until somebody closes it; then they wait. */
export class Gate {
  #passing = 0;
  #opened: Promise<void> | null = null;
  #open: () => void = () => undefined;
  #left: (() => void) | null = null;

  /** Runs `call` when the gate is open. */
  async pass<T>(call: () => Promise<T>): Promise<T> {
    while (this.#opened !== null) await this.#opened;
    this.#passing++;
    try {
      return await call();
    } finally {
      this.#passing--;
      if (this.#passing === 0) this.#left?.();
    }
  }

  /** Closes it; resolves when nobody is inside any more. Only one may have it closed. */
  async close(): Promise<void> {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
    if (this.#passing === 0) return;
    await new Promise<void>((resolve) => {
      this.#left = resolve;
    });
  }

  open(): void {
    this.#opened = null;
    this.#left = null;
    this.#open();
  }
}
