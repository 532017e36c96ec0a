/** A write that has not ended yet. */
interface Entry {
  /** True once it stands in the queue, where order is kept by itself. */
  isQueued: boolean;
  /** Resolves when it has ended, and all writes about its runs that came before it. */
  ended: Promise<unknown>;
}

/** Where a write stands in the order of its connection. */
export interface Place {
  /** Resolves when what has to come before it has ended; null when nothing has. */
  readonly turn: Promise<unknown> | null;
  /** From now on the queue keeps its order. */
  enterQueue(): void;
  /** It has ended, in whatever way. */
  leave(): void;
}

/**
 * The order of the writes of one connection: writes about one run take effect in the order in which they were called,
 * whether their callers wait for each other or not. A transaction comes after all that was called before it, and before
 * all that is called after it.
 */
export class ProgramOrder {
  readonly #unfinished = new Set<Entry>();
  readonly #lastOfRun = new Map<string, Entry>();
  #transaction: Entry | null = null;

  /** A write that travels with others, in the order of the queue. */
  enterQueued(runIds: ReadonlySet<string>): Place {
    return this.#enter(runIds, (entry) => !entry.isQueued);
  }

  /** A write that is sent by itself, beside the queue. */
  enterAlone(runIds: ReadonlySet<string>): Place {
    return this.#enter(runIds, () => true);
  }

  enterTransaction(): Place {
    const earlier = [...this.#unfinished].map(({ ended }) => ended);
    const place = this.#add([], earlier, (entry) => {
      if (this.#transaction === entry) this.#transaction = null;
    });
    this.#transaction = place.entry;
    return place;
  }

  #enter(runIds: ReadonlySet<string>, isWaitedFor: (earlier: Entry) => boolean): Place {
    const earlier: Entry[] = [];
    if (this.#transaction !== null) earlier.push(this.#transaction);
    for (const runId of runIds) {
      const last = this.#lastOfRun.get(runId);
      if (last !== undefined) earlier.push(last);
    }
    const place = this.#add(
      earlier.filter((entry) => !isWaitedFor(entry)).map(({ ended }) => ended),
      earlier.filter(isWaitedFor).map(({ ended }) => ended),
      (entry) => {
        for (const runId of runIds) {
          if (this.#lastOfRun.get(runId) === entry) this.#lastOfRun.delete(runId);
        }
      },
    );
    for (const runId of runIds) this.#lastOfRun.set(runId, place.entry);
    return place;
  }

  #add(
    inQueue: readonly Promise<unknown>[],
    waitedFor: readonly Promise<unknown>[],
    forget: (entry: Entry) => void,
  ): Place & { readonly entry: Entry } {
    let leave!: () => void;
    const left = new Promise<void>((resolve) => (leave = resolve));
    const entry: Entry = {
      isQueued: false,
      ended: inQueue.length === 0 ? left : Promise.all([left, ...inQueue]),
    };
    this.#unfinished.add(entry);
    void entry.ended.then(() => {
      this.#unfinished.delete(entry);
      forget(entry);
    });
    return {
      entry,
      turn: waitedFor.length === 0 ? null : Promise.all(waitedFor),
      enterQueue: () => {
        entry.isQueued = true;
      },
      leave,
    };
  }
}
