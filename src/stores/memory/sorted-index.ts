import { compareText } from "../../model/cursors.ts";

/** What an index orders: by time, ties by the UTF-8 bytes of the run id. */
export interface Position {
  readonly createdAt: number;
  readonly runId: string;
}

/** Negative when `a` is before `b`. */
export function comparePlaces(a: Position, b: Position): number {
  return a.createdAt - b.createdAt || compareText(a.runId, b.runId);
}

/**
 * Entries in order, oldest first.
 *
 * New runs come at the end, where an insertion costs nothing. A removed entry stays in place until half of them
 * are gone: taking each out at once would move all that follow.
 */
export class SortedIndex<Entry extends Position> {
  #entries: Entry[] = [];
  readonly #removed = new Set<Entry>();

  add(entry: Entry): void {
    if (this.#removed.delete(entry)) return;
    const last = this.#entries.at(-1);
    if (last === undefined || comparePlaces(last, entry) < 0) this.#entries.push(entry);
    else this.#entries.splice(this.#firstBeyond(entry), 0, entry);
  }

  remove(entry: Entry): void {
    this.#removed.add(entry);
    if (this.#removed.size * 2 <= this.#entries.length) return;
    this.#entries = this.#entries.filter((kept) => !this.#removed.has(kept));
    this.#removed.clear();
  }

  /** The entries after `after`, or all. The index must not be changed meanwhile. */
  *scan(order: "newest first" | "oldest first", after: Position | null): Generator<Entry> {
    const step = order === "oldest first" ? 1 : -1;
    let place = this.#start(step, after);
    for (;;) {
      const entry = this.#entries[place];
      if (entry === undefined) return;
      if (!this.#removed.has(entry)) yield entry;
      place += step;
    }
  }

  #start(step: 1 | -1, after: Position | null): number {
    if (after === null) return step === 1 ? 0 : this.#entries.length - 1;
    const beyond = this.#firstBeyond(after);
    if (step === 1) return beyond;
    const before = this.#entries[beyond - 1];
    return before !== undefined && comparePlaces(before, after) === 0 ? beyond - 2 : beyond - 1;
  }

  /** The place of the first entry that sorts after `position`. */
  #firstBeyond(position: Position): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#entries[middle];
      if (entry !== undefined && comparePlaces(entry, position) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
