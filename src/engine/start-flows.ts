import { captureFlow, outerFlow, type Flow } from "../async/flow.ts";

const maxEntries = 1000;
const longestStayMs = 60_000;

/**
 * The asynchronous flows in which runs were started here, until they are claimed here: their steps run in them. Others
 * may claim them, so they are forgotten after a while.
 */
export class StartFlows {
  readonly #entries = new Map<string, { readonly flow: Flow; readonly since: number }>();
  #isForgetting = false;

  add(runId: string): void {
    if (this.#entries.has(runId)) return;
    if (this.#entries.size >= maxEntries) this.#deleteOldest();
    this.#entries.set(runId, { flow: captureFlow(), since: performance.now() });
    this.#forgetLater();
  }

  /** The flow in which the run was started, once; that of no request if it is not known. */
  take(runId: string): Flow {
    const flow = this.#entries.get(runId)?.flow ?? outerFlow;
    this.#entries.delete(runId);
    return flow;
  }

  #deleteOldest(): void {
    for (const runId of this.#entries.keys()) {
      this.#entries.delete(runId);
      return;
    }
  }

  #forgetLater(): void {
    if (this.#isForgetting) return;
    this.#isForgetting = true;
    const timer = outerFlow(() => setTimeout(() => this.#forget(), longestStayMs));
    // It keeps no process alive. On edge runtimes a timer is a number.
    if (typeof timer === "object") timer.unref();
  }

  #forget(): void {
    this.#isForgetting = false;
    const oldest = performance.now() - longestStayMs;
    for (const [runId, { since }] of this.#entries) {
      if (since > oldest) break;
      this.#entries.delete(runId);
    }
    if (this.#entries.size > 0) this.#forgetLater();
  }
}
