import { createClient } from "@libsql/client/web";
import type { StatementResult } from "./connection.ts";
import { readIndex, type PrimaryPosition } from "./primary-position.ts";
import { resultOf } from "./result-sets.ts";
import type { BoundStatement } from "./statement.ts";
import { askWithin, type Fetch } from "./timeouts.ts";

/** Somewhere nearer than the primary, where reads can go. */
export interface Replica {
  /** Null when it cannot answer, or lacks something that this process has seen: the primary is asked then. */
  read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[] | null>;
}

/** A server's read replica, reached over HTTP. It is never waited for: what it lacks, the primary has. */
export class ReadReplica implements Replica {
  readonly #config: { readonly url: string; readonly authToken?: string };
  readonly #position: PrimaryPosition;
  readonly #fetch: Fetch;
  #index = 0n;
  /** The `restarts` of the log that its answers are known to be from. */
  #log = 0;

  constructor(
    config: { readonly url: string; readonly authToken?: string },
    position: PrimaryPosition,
    timeoutMs: number,
  ) {
    this.#config = config;
    this.#position = position;
    this.#fetch = askWithin(timeoutMs);
  }

  async read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[] | null> {
    const required = this.#position.index;
    try {
      for (;;) {
        const before = this.#index;
        const wasKnown = this.#log === this.#position.restarts;
        const { results, reached } = await this.#ask(statements);
        // A server that does not say where it is can be trusted until something was written.
        if (reached === null) return required === 0n ? results : null;
        this.#note(reached, before);
        // The index is read after the rows are, so that the rows may be older than it. What it had reached before
        // it was asked is in them for sure.
        if (wasKnown && before >= required) return results;
        if (this.#log !== this.#position.restarts || this.#index < required) return null;
      }
    } catch {
      return null;
    }
  }

  async #ask(statements: readonly BoundStatement[]) {
    let reached = null as bigint | null;
    // One client for each question: so the index is known to be that of its answer. It opens no connection;
    // those are the runtime's, and shared.
    const client = createClient({
      ...this.#config,
      fetch: async (request: Request) => {
        const { index, copy } = await readIndex(await this.#fetch(request));
        reached = index;
        return copy;
      },
    });
    try {
      const results = await client.batch(
        statements.map(({ sql, args }) => ({ sql, args })),
        "read",
      );
      return { results: results.map(resultOf), reached };
    } finally {
      client.close();
    }
  }

  /** It has answered. `before` is its index at the time when it was asked. */
  #note(reached: bigint, before: bigint): void {
    const { restarts, highestBeforeRestart } = this.#position;
    if (this.#log !== restarts) {
      // What it answers may be from before the restart, until its own index has fallen, or is past all of that.
      if (reached >= before && reached <= highestBeforeRestart) return;
      this.#log = restarts;
      this.#index = reached;
    }
    if (reached > this.#index) this.#index = reached;
    this.#position.noteCopy(reached);
  }
}
