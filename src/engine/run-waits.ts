/** Somebody waits for news of a run. Made before looking at the run, so that no news is missed. */
export interface RunWait {
  /** Aborts when there is news. */
  readonly news: AbortSignal;
  readonly end: () => void;
}

/** Who waits for which run. */
export class RunWaits {
  readonly #waits = new Map<string, Set<AbortController>>();

  /** `signal` is news, too. */
  begin(runId: string, signal: AbortSignal | undefined): RunWait {
    const controller = new AbortController();
    const waits = this.#waits.get(runId) ?? new Set();
    this.#waits.set(runId, waits.add(controller));
    const abort = (): void => controller.abort();
    signal?.addEventListener("abort", abort, { once: true });
    return {
      news: controller.signal,
      end: () => {
        signal?.removeEventListener("abort", abort);
        waits.delete(controller);
        if (waits.size === 0 && this.#waits.get(runId) === waits) this.#waits.delete(runId);
      },
    };
  }

  /** Tells those who wait for the run to look at it. */
  wake(runId: string): void {
    for (const controller of this.#waits.get(runId) ?? []) controller.abort();
  }

  wakeAll(): void {
    for (const runId of this.#waits.keys()) this.wake(runId);
  }
}
