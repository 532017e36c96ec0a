import { performance } from "node:perf_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";

/** How long a chain of awaited calls may hold the event loop. */
const maxHoldMs = 8;

/**
 * Lets the event loop turn now and then. Calls of the binding are synchronous, so a loop that awaits them one by
 * one would otherwise never let a timer fire.
 */
export class Turns {
  #lastAt = performance.now();
  /** The turn that is taken now: what comes meanwhile waits for it too, so that nothing passes what came before. */
  #taken: Promise<void> | null = null;

  /** A promise to wait for, when it is time for a turn. */
  due(): Promise<void> | null {
    if (this.#taken !== null) return this.#taken;
    if (performance.now() - this.#lastAt < maxHoldMs) return null;
    return (this.#taken = this.#take());
  }

  async #take(): Promise<void> {
    await nextTurn();
    this.#lastAt = performance.now();
    this.#taken = null;
  }
}
