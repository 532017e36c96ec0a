/** Lets calls pass until it is closed; later calls wait until it opens. */
export class Gate {
  readonly #inside = new Set<Promise<unknown>>();
  #opened: Promise<void> | null = null;
  #open: () => void = () => undefined;

  /** Runs `call` when the gate is open. */
  async pass<T>(call: () => Promise<T>): Promise<T> {
    while (this.#opened !== null) await this.#opened;
    const passing = call();
    this.#inside.add(passing);
    try {
      return await passing;
    } finally {
      this.#inside.delete(passing);
    }
  }

  /** Closes the gate. Resolves when every call that was inside has ended. */
  async close(): Promise<void> {
    this.#opened ??= new Promise((resolve) => {
      this.#open = resolve;
    });
    await Promise.allSettled(this.#inside);
  }

  open(): void {
    this.#opened = null;
    this.#open();
  }
}
