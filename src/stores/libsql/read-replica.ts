import { createClient } from "@libsql/client/web";
import { StoreConnectionError } from "../../errors.ts";
import type { Replica, StatementResult } from "../sqlite/connections/connection.ts";
import { isRefusal } from "../sqlite/errors/symptoms.ts";
import { translateError } from "../sqlite/errors/translate.ts";
import type { ServerConfig } from "./http-client.ts";
import { demandIndex, readIndex, type PrimaryPosition } from "./primary-position.ts";
import { resultOf } from "../sqlite/connections/result-sets.ts";
import type { BoundStatement } from "../sqlite/statements/statement.ts";
import { askWithin, type Fetch } from "../sqlite/connections/timeouts.ts";

/** A replica that takes longer is not worth waiting for: the primary has all that it has. */
const patienceMs = 5_000;

/** How long a replica that has failed is left out; doubled with each failure that follows. */
const shortestAbsenceMs = 1_000;
const longestAbsenceMs = 30_000;

/** A server's read replica, reached over HTTP. What it lacks, the primary has. */
export class ReadReplica implements Replica {
  readonly #config: ServerConfig;
  readonly #position: PrimaryPosition;
  readonly #fetch: Fetch;
  #index = 0n;
  /** The `restarts` of the log that its answers are known to be from. */
  #log = 0;
  /** Until when it is left out, in milliseconds of `performance.now()`; null while it is used. */
  #leftOutUntil: number | null = null;
  #absenceMs = shortestAbsenceMs;
  #isAsked = false;

  constructor(config: ServerConfig, position: PrimaryPosition, timeoutMs: number) {
    this.#config = config;
    this.#position = position;
    this.#fetch = askWithin(Math.min(timeoutMs, patienceMs));
  }

  /**
   * Asks the replica for the first time. One that does not answer is left out until it does.
   *
   * @throws {StoreConnectionError} when it refuses the token or the database: waiting does not help.
   */
  async open(): Promise<void> {
    try {
      await this.#ask([selectOne], null);
    } catch (error) {
      const { message } = translateError(error, "read");
      if (isRefusal(error)) {
        throw new StoreConnectionError({ reason: `readUrl: ${message}` }, { cause: error });
      }
      this.#leaveOut(message);
    }
  }

  async read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[] | null> {
    // Its answer could not be compared with what was written.
    if (!this.#position.isCertain) return null;
    if (this.#leftOutUntil !== null) {
      void this.#askAgain(this.#leftOutUntil);
      return null;
    }
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
    } catch (error) {
      // It may have waited for what it turned out not to have.
      this.#index = 0n;
      const { message, retryable } = translateError(error, "read");
      // What it says of the statements, the primary says better.
      if (retryable || isRefusal(error)) this.#leaveOut(message);
      return null;
    }
  }

  /** Reads go to the primary for a while. Several that were under way together count as one failure. */
  #leaveOut(message: string): void {
    if (this.#leftOutUntil !== null) return;
    warn(`the read replica is left out until it answers: ${message}`);
    this.#leftOutUntil = performance.now() + this.#absenceMs;
  }

  /** When it has been left out for long enough it is asked beside a read of the primary, which waits for nothing. */
  async #askAgain(leftOutUntil: number): Promise<void> {
    if (this.#isAsked || performance.now() < leftOutUntil) return;
    this.#isAsked = true;
    try {
      await this.#ask([selectOne], null);
      this.#leftOutUntil = null;
      this.#absenceMs = shortestAbsenceMs;
    } catch {
      this.#absenceMs = Math.min(longestAbsenceMs, 2 * this.#absenceMs);
      this.#leftOutUntil = performance.now() + this.#absenceMs;
    } finally {
      this.#isAsked = false;
    }
  }

  async #ask(
    statements: readonly Pick<BoundStatement, "sql" | "args">[],
    demanded: bigint | null,
  ): Promise<{ results: StatementResult[]; reached: bigint | null }> {
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

const selectOne = { sql: "select 1", args: [] };

/** A replica that fails changes no answer, so nothing else would show it. Runtimes without `process` have no warnings. */
function warn(message: string): void {
  const { process } = globalThis as { process?: { emitWarning?: (...args: string[]) => void } };
  process?.emitWarning?.(message, "GorkflowWarning", "GORKFLOW_READ_REPLICA");
}
