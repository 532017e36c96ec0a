export type ScanOrder = "newest first" | "oldest first";

/**
 * Entries in the order of their places. The place of an entry does not change.
 *
 * Most entries are added at the end and removed from the start, which costs nothing. An entry that is removed from the
 * middle stays in the list until half of the list is removed, because every removal would move all later entries.
 */
export class SortedIndex<Place, Entry extends Place = Place> {
  readonly #compare: (a: Place, b: Place) => number;
  #entries: Entry[] = [];
  /** Entries before this index are removed. */
  #start = 0;
  readonly #removed = new Set<Entry>();

  constructor(compare: (a: Place, b: Place) => number) {
    this.#compare = compare;
  }

  add(entry: Entry): void {
    const last = this.#entries.at(-1);
    if (last === undefined || this.#compare(last, entry) < 0) this.#entries.push(entry);
    else this.#entries.splice(this.#firstBeyond(entry), 0, entry);
  }

  remove(entry: Entry): void {
    this.#removed.add(entry);
    for (;;) {
      const first = this.#entries[this.#start];
      if (first === undefined || !this.#removed.delete(first)) break;
      this.#start++;
    }
    if ((this.#start + this.#removed.size) * 2 <= this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#start).filter((kept) => !this.#removed.has(kept));
    this.#start = 0;
    this.#removed.clear();
  }

  /** The entries after `after`, or all. The index must not change during the scan. */
  *scan(order: ScanOrder, after: Place | null): Generator<Entry> {
    const step = order === "oldest first" ? 1 : -1;
    for (let place = this.#first(step, after); place >= this.#start; place += step) {
      const entry = this.#entries[place];
      if (entry === undefined) return;
      if (!this.#removed.has(entry)) yield entry;
    }
  }

  #first(step: 1 | -1, after: Place | null): number {
    if (after === null) return step === 1 ? this.#start : this.#entries.length - 1;
    const beyond = this.#firstBeyond(after);
    if (step === 1) return beyond;
    const before = this.#entries[beyond - 1];
    return before !== undefined && this.#compare(before, after) === 0 ? beyond - 2 : beyond - 1;
  }

  /** The index of the first entry that sorts after `place`. */
  #firstBeyond(place: Place): number {
    let low = this.#start;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#entries[middle];
      if (entry !== undefined && this.#compare(entry, place) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
