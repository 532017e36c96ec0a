import { createClient } from "@libsql/client/web";
import type { StatementResult } from "./connection.ts";
import { demandIndex, readIndex, type PrimaryPosition } from "./primary-position.ts";
import { resultOf } from "./result-sets.ts";
import type { BoundStatement } from "./statement.ts";
import { askWithin, type Fetch } from "./timeouts.ts";

/** Somewhere nearer than the primary, where reads can go. */
export interface Replica {
  /** Null when it cannot answer, or lacks something that this process has seen: the primary is asked then. */
  read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[] | null>;
}

/** A replica that takes longer is not worth waiting for: the primary has all that it has. */
const patienceMs = 5_000;

/** A server's read replica, reached over HTTP. What it lacks, the primary has. */
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
    this.#fetch = askWithin(Math.min(timeoutMs, patienceMs));
  }

  async read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[] | null> {
    const required = this.#position.index;
    try {
      for (;;) {
        const before = this.#index;
        const wasKnown = this.#log === this.#position.restarts;
        const shouldHave = wasKnown && before >= required;
        const { results, reached } = await this.#ask(statements, shouldHave ? required : null);
        // A server that does not say where it is can be trusted until something was written.
        if (reached === null) return required === 0n ? results : null;
        this.#note(reached, before);
        // A server reads the index after the rows, so that they may be older than it: they are not where the answer
        // had to wait for what is required. What an earlier answer said does not suffice. A replica that is behind
        // when it starts passes questions on to the primary, and later answers by itself with less.
        if (shouldHave && reached >= required) return results;
        if (this.#log !== this.#position.restarts || this.#index < required) return null;
      }
    } catch {
      // It may have waited for what it turned out not to have.
      this.#index = 0n;
      return null;
    }
  }

  async #ask(statements: readonly BoundStatement[], demanded: bigint | null) {
    let reached = null as bigint | null;
    // One client for each question: so the index is known to be that of its answer. It opens no connection;
    // those are the runtime's, and shared.
    const client = createClient({
      ...this.#config,
      fetch: async (request: Request) => {
        const asked = demanded === null ? request : await demandIndex(request, demanded);
        const { index, copy } = await readIndex(await this.#fetch(asked));
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
    }
    this.#index = reached;
    this.#position.noteCopy(reached);
  }
}
