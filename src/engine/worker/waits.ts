import { onAbort, type StopSignal } from "../../async/abort.ts";
import type { EngineEventType, EventEmitter } from "../observe/events.ts";

/** The first and the longest interval between two reads of a run that another engine may execute. */
export const firstPollMs = 20;
export const longestPollMs = 1000;

/** Wakes one waiter. If nobody waits, `notify` ends the next wait immediately. */
export class WakeUp {
  #isNotified = false;
  #listener: (() => void) | null = null;

  notify(): void {
    this.#isNotified = true;
    this.#listener?.();
  }

  /** Resolves to true at the next `notify`, or to false after `ms`. Null means no limit. */
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

/**
 * A wait for the run's events of the given types in this engine, and for the abort of any signal. Begin it before you
 * read the run, so that no change is missed, and call `end` afterwards.
 */
export function waitForRun(
  events: EventEmitter,
  runId: string,
  types: readonly EngineEventType[],
  signals: readonly (StopSignal | undefined)[],
) {
  const wakeUp = new WakeUp();
  const notify = (): void => wakeUp.notify();
  const ends = signals.map((signal) => onAbort(signal, notify));
  ends.push(
    events.onRun(runId, (type) => {
      if (types.includes(type)) notify();
    }),
  );
  return { wakeUp, end: () => ends.forEach((end) => end()) };
}
