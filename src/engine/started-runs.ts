import { captureFlow, outerFlow, type Flow } from "../async/flow.ts";
import type { WorkflowRun } from "../schema/rows.ts";

const maxEntries = 1000;
const maxInputCharacters = 16 * 1024;
const longestStayMs = 60_000;

/** The input of a run, as JSON text, and its context. */
export interface KnownInput {
  readonly inputText: string;
  readonly context: unknown;
}

interface Entry {
  /** The asynchronous flow in which the run was started. */
  readonly flow: Flow;
  /** Null if the input is too large to be kept. */
  readonly knownInput: KnownInput | null;
  readonly revision: number;
  readonly since: number;
}

/**
 * The runs that were started in this process, until they are claimed in it: their steps run in the flow of their start,
 * and their input need not be read. Another process may claim them, so they are forgotten after a minute.
 */
export class StartedRuns {
  readonly #entries = new Map<string, Entry>();
  #isForgetting = false;

  add({ runId, input, context, revision }: WorkflowRun): void {
    if (this.#entries.has(runId)) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined && this.#entries.size >= maxEntries) this.#entries.delete(oldest);
    const inputText = JSON.stringify(input);
    this.#entries.set(runId, {
      flow: captureFlow(),
      knownInput: inputText.length <= maxInputCharacters ? { inputText, context } : null,
      revision,
      since: performance.now(),
    });
    this.#forgetLater();
  }

  /** True if the run has not been claimed here. */
  has(runId: string): boolean {
    return this.#entries.has(runId);
  }

  /** Forgets the run. Without a start here its flow is that of no request; its input is null if the run has changed. */
  take({ runId, revision }: Pick<WorkflowRun, "runId" | "revision">): {
    readonly flow: Flow;
    readonly knownInput: KnownInput | null;
  } {
    const entry = this.#entries.get(runId);
    if (entry === undefined) return { flow: outerFlow, knownInput: null };
    this.#entries.delete(runId);
    const { flow, knownInput } = entry;
    return { flow, knownInput: revision === entry.revision + 1 ? knownInput : null };
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
