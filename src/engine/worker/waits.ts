import type { StopSignal } from "../../async/abort.ts";
import type { EngineEventType, EventEmitter } from "../observe/events.ts";

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

/** A wait for changes of one run. It begins before the run is read, so that no change is missed. */
export interface RunWait {
  readonly wakeUp: WakeUp;
  readonly end: () => void;
}

/** Is woken by the events of the run here that are of the given types, and by the abort of any signal. */
export function waitForRun(
  events: EventEmitter,
  {
    runId,
    types,
    signals,
  }: {
    readonly runId: string;
    readonly types: readonly EngineEventType[];
    readonly signals: readonly (StopSignal | undefined)[];
  },
): RunWait {
  const wakeUp = new WakeUp();
  const notify = (): void => wakeUp.notify();
  const unsubscribe = events.onRun(runId, (type) => {
    if (types.includes(type)) notify();
  });
  for (const signal of signals) {
    if (signal?.aborted === true) notify();
    signal?.addEventListener("abort", notify);
  }
  return {
    wakeUp,
    end: () => {
      unsubscribe();
      for (const signal of signals) signal?.removeEventListener("abort", notify);
    },
  };
}
