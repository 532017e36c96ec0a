import type { WorkflowRun } from "../schema/rows.ts";

const maxEntries = 1000;
const maxCharacters = 16 * 1024;

/** What a run was started with, as far as its worker needs it. */
export type KnownInput = Pick<WorkflowRun, "input" | "context">;

/**
 * What runs were started with in this process that are not yet claimed: a worker in the same process need not read it. Bounded in number and size; what is not here is read from the store.
 */
export class KnownInputs {
  readonly #texts = new Map<string, string>();

  add({ runId, input, context }: WorkflowRun): void {
    const text = JSON.stringify({ input, context } satisfies KnownInput);
    if (text.length > maxCharacters) return;
    this.#texts.set(runId, text);
    if (this.#texts.size <= maxEntries) return;
    for (const oldest of this.#texts.keys()) {
      this.#texts.delete(oldest);
      break;
    }
  }

  has(runId: string): boolean {
    return this.#texts.has(runId);
  }

  /** A copy of it, once; null when it has to be read. */
  take(runId: string): KnownInput | null {
    const text = this.#texts.get(runId);
    if (text === undefined) return null;
    this.#texts.delete(runId);
    return JSON.parse(text) as KnownInput;
  }
}
