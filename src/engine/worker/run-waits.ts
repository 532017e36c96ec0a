import { WakeUp } from "../pauses.ts";

/** Somebody waits for news of a run. Made before looking at the run, so that no news is missed. */
export interface RunWait {
  /** Rings when there is news. */
  readonly news: WakeUp;
  readonly end: () => void;
}

/** Who waits for which run. */
export class RunWaits {
  readonly #waits = new Map<string, Set<WakeUp>>();

  /** The abort of `signal` is news, too. */
  begin(runId: string, signal: AbortSignal | undefined): RunWait {
    const news = new WakeUp();
    const waits = this.#waits.get(runId) ?? new Set();
    this.#waits.set(runId, waits.add(news));
    const ring = (): void => news.ring();
    if (signal?.aborted === true) ring();
    signal?.addEventListener("abort", ring, { once: true });
    return {
      news,
      end: () => {
        signal?.removeEventListener("abort", ring);
        waits.delete(news);
        if (waits.size === 0 && this.#waits.get(runId) === waits) this.#waits.delete(runId);
      },
    };
  }

  /** Tells those who wait for the run to look at it. */
  wake(runId: string): void {
    for (const news of this.#waits.get(runId) ?? []) news.ring();
  }

  wakeAll(): void {
    for (const runId of this.#waits.keys()) this.wake(runId);
  }
}
