import type { WorkflowRun } from "../../schema/rows.ts";

const maxEntries = 1000;
const maxCharacters = 16 * 1024;

/** What a run was started with, as far as its worker needs it. */
export interface KnownInput {
  /** As JSON. */
  readonly inputText: string;
  readonly context: unknown;
}

interface Entry {
  readonly inputText: string;
  readonly contextText: string;
  readonly revision: number;
}

/**
 * What runs were started with in this process that are not yet claimed: a worker in the same process need not read
 * it. Bounded in number and size; what is not here is read from the store.
 */
export class KnownInputs {
  readonly #entries = new Map<string, Entry>();

  add({ runId, input, context, revision }: WorkflowRun): void {
    const inputText = JSON.stringify(input);
    const contextText = JSON.stringify(context);
    if (inputText.length + contextText.length > maxCharacters) return;
    this.#entries.set(runId, { inputText, contextText, revision });
    if (this.#entries.size <= maxEntries) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      break;
    }
  }

  has(runId: string): boolean {
    return this.#entries.has(runId);
  }

  /** The input of a claimed run, once; null when it has to be read, as after a change since the start. */
  take({ runId, revision }: Pick<WorkflowRun, "runId" | "revision">): KnownInput | null {
    const entry = this.#entries.get(runId);
    if (entry === undefined) return null;
    this.#entries.delete(runId);
    if (revision !== entry.revision + 1) return null;
    return { inputText: entry.inputText, context: JSON.parse(entry.contextText) };
  }
}
