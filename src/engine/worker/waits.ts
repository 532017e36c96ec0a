/** Wakes one waiter. A call of `notify` while nobody waits ends the next wait at once. */
export class WakeUp {
  #isNotified = false;
  #listener: (() => void) | null = null;

  notify(): void {
    this.#isNotified = true;
    this.#listener?.();
  }

  /** Resolves at the next `notify`, or after `ms`: true for a `notify`. Null waits without a limit. */
  async wait(ms: number | null): Promise<boolean> {
    if (!this.#isNotified) {
      await new Promise<void>((resolve) => {
        const timer = ms === null ? null : setTimeout(resolve, ms);
        this.#listener = () => {
          if (timer !== null) clearTimeout(timer);
          resolve();
        };
      });
      this.#listener = null;
    }
    const isNotified = this.#isNotified;
    this.#isNotified = false;
    return isNotified;
  }
}

/** A wait for a change of one run. It begins before the run is read, so that no change is missed. */
export interface RunWait {
  readonly wakeUp: WakeUp;
  readonly end: () => void;
}

/** The waits for runs, by run id. */
export class RunWaits {
  readonly #waits = new Map<string, Set<WakeUp>>();

  /** An abort of `signal` wakes the wait, too. */
  begin(runId: string, signal: AbortSignal | undefined): RunWait {
    const wakeUp = new WakeUp();
    const waits = this.#waits.get(runId) ?? new Set();
    this.#waits.set(runId, waits.add(wakeUp));
    const notify = (): void => wakeUp.notify();
    if (signal?.aborted === true) notify();
    signal?.addEventListener("abort", notify, { once: true });
    return {
      wakeUp,
      end: () => {
        signal?.removeEventListener("abort", notify);
        waits.delete(wakeUp);
        if (waits.size === 0 && this.#waits.get(runId) === waits) this.#waits.delete(runId);
      },
    };
  }

  wake(runId: string): void {
    for (const wakeUp of this.#waits.get(runId) ?? []) wakeUp.notify();
  }

  wakeAll(): void {
    for (const runId of this.#waits.keys()) this.wake(runId);
  }
}
