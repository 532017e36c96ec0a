/** An unfinished write. */
interface Entry {
  /** True once it is in the queue, which keeps the order. */
  isQueued: boolean;
  /** Resolves when this write and all earlier writes to its runs have ended. */
  ended: Promise<unknown>;
}

/** The place of a write in the order of its connection. */
export interface Place {
  /** Resolves when all writes that must come before it have ended; null if there are none. */
  readonly turn: Promise<unknown> | null;
  /** The write is in the queue now, which keeps the order. */
  enterQueue(): void;
  /** The write has succeeded or failed. */
  leave(): void;
}

/**
 * The order of the writes of one connection. Writes to one run take effect in the order of their calls, even if callers
 * do not wait for each other. A transaction runs after all earlier calls and before all later ones.
 */
export class ProgramOrder {
  readonly #unfinished = new Set<Entry>();
  readonly #lastOfRun = new Map<string, Entry>();
  #transaction: Entry | null = null;

  /** Enters a write that is sent from the queue, together with others. */
  enterQueued(runIds: ReadonlySet<string>): Place {
    return this.#enter(runIds, (entry) => !entry.isQueued);
  }

  /** Enters a write that is sent alone, beside the queue. */
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
