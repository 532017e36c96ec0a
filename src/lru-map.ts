/** A map that keeps the entries that were used last. */
export class LruMap<Key, Value> {
  /** The entries that were used since `#older` was filled, and those that were used before. A use moves no other entry. */
  #recent = new Map<Key, Value>();
  #older = new Map<Key, Value>();
  readonly #half: number;

  /** Keeps at most `capacity` entries, and at least the half of them that was used last. */
  constructor(capacity: number) {
    this.#half = Math.ceil(capacity / 2);
  }

  /** The value of `key`; made by `make` and kept if there is none. */
  getOrMake(key: Key, make: () => Value): Value {
    const recent = this.#recent.get(key);
    if (recent !== undefined) return recent;
    const value = this.#older.get(key) ?? make();
    if (this.#recent.size >= this.#half) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, value);
    return value;
  }

  delete(key: Key): void {
    this.#recent.delete(key);
    this.#older.delete(key);
  }
}
