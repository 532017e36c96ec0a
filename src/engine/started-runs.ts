import { captureFlow, outerFlow, type Flow } from "../async/flow.ts";
import type { WorkflowRun, WorkflowRunSummary } from "../schema/rows.ts";

const maxEntries = 1000;
const maxInputCharacters = 16 * 1024;
const longestStayMs = 60_000;

/** The input of a run, as JSON text, and its context. */
export interface KnownInput {
  readonly inputText: string;
  readonly context: unknown;
}

interface Entry {
  /** The asynchronous context of the start. */
  readonly flow: Flow;
  /** Null if the input is too large to be kept, or the run may have steps. */
  readonly knownInput: KnownInput | null;
  readonly revision: number;
  readonly forget: () => void;
}

/**
 * The runs that were started in this process and not yet claimed here. Their steps run in the asynchronous context of the
 * start, and their input need not be read. Entries expire after a minute, because another process may claim the run.
 */
export class StartedRuns {
  readonly #entries = new Map<string, Entry>();

  /** `inputText` is null if the run was found by its key, and may have steps. */
  add({ runId, context, revision }: WorkflowRun, inputText: string | null): void {
    if (this.#entries.has(runId)) return;
    const [oldest] = this.#entries.values();
    if (this.#entries.size >= maxEntries) oldest?.forget();
    const timer = outerFlow(() => setTimeout(() => this.#entries.delete(runId), longestStayMs));
    // The timer must not keep the process alive. On edge runtimes it is a number.
    if (typeof timer === "object") timer.unref();
    this.#entries.set(runId, {
      flow: captureFlow(),
      knownInput:
        inputText !== null && inputText.length <= maxInputCharacters
          ? { inputText, context }
          : null,
      revision,
      forget: () => {
        clearTimeout(timer);
        this.#entries.delete(runId);
      },
    });
  }

  has(runId: string): boolean {
    return this.#entries.has(runId);
  }

  /**
   * Removes the run and returns its entry. `flow` is the outermost one if the run was not started here; `knownInput` is
   * null if the run may have changed.
   */
  take({ runId, revision }: WorkflowRunSummary): Pick<Entry, "flow" | "knownInput"> {
    const entry = this.#entries.get(runId);
    if (entry === undefined) return { flow: outerFlow, knownInput: null };
    entry.forget();
    const { flow, knownInput } = entry;
    return { flow, knownInput: revision === entry.revision + 1 ? knownInput : null };
  }
}
