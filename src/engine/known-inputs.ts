const maxEntries = 1000;
const maxCharacters = 16 * 1024;

/**
 * The inputs of runs that were started in this process and not yet claimed: a worker in the same process need not
 * read them. Bounded in number and size; what is not here is read from the store.
 */
export class KnownInputs {
  readonly #texts = new Map<string, string>();

  add(runId: string, input: unknown): void {
    const text = JSON.stringify(input);
    if (text.length > maxCharacters) return;
    this.#texts.set(runId, text);
    if (this.#texts.size <= maxEntries) return;
    for (const oldest of this.#texts.keys()) {
      this.#texts.delete(oldest);
      break;
    }
  }

  /** The input, a copy of it, once; null when it has to be read. */
  take(runId: string): { readonly value: unknown } | null {
    const text = this.#texts.get(runId);
    if (text === undefined) return null;
    this.#texts.delete(runId);
    return { value: JSON.parse(text) };
  }
}
