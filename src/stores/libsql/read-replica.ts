import { createClient } from "@libsql/client/web";
import { StoreConnectionError } from "../../errors.ts";
import { resultOf, type Replica, type StatementResult } from "../sqlite/connections/connection.ts";
import { isRefusal } from "../sqlite/errors/symptoms.ts";
import { translateError } from "../sqlite/errors/translate.ts";
import type { ServerConfig } from "./http-client.ts";
import { demandIndex, readIndex, type PrimaryPosition } from "./primary-position.ts";
import type { BoundStatement } from "../sqlite/statements/statement.ts";
import { askWithin, type Fetch } from "../sqlite/connections/timeouts.ts";

/** If a replica takes longer, the primary is asked. */
const patienceMs = 5_000;

/** How long a replica is not used after a failure. It doubles with each failure in a row. */
const shortestAbsenceMs = 1_000;
const longestAbsenceMs = 30_000;

/** A read replica of a server, over HTTP. Reads that it cannot answer go to the primary. */
export class ReadReplica implements Replica {
  readonly #config: ServerConfig;
  readonly #position: PrimaryPosition;
  readonly #fetch: Fetch;
  #index = 0n;
  /** The `restarts` of the log that its answers are from. */
  #log = 0;
  /** Its last answer that was perhaps from an earlier log, and the `restarts` at that time. */
  #refused = { restarts: 0, index: 0n };
  /** When it is used again, in milliseconds of `performance.now()`; null if it is in use. */
  #leftOutUntil: number | null = null;
  #absenceMs = shortestAbsenceMs;
  #isAsked = false;

  constructor(config: ServerConfig, position: PrimaryPosition, timeoutMs: number) {
    this.#config = config;
    this.#position = position;
    this.#fetch = askWithin(Math.min(timeoutMs, patienceMs));
  }

  /**
   * Sends the first request. A replica that does not answer is not used until it does.
   *
   * @throws {StoreConnectionError} if it rejects the token or the database, because waiting does not help.
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
    // It is unknown whether the replica has the writes of this process.
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
        // A replica without an index can be used until this process has written.
        if (reached === null) return required === 0n ? results : null;
        this.#note(reached, before);
        // A server reads the index after the rows, so the rows may be older than the index. They are not if the
        // answer had to wait for the required index. The index of an earlier answer is not enough: a replica that
        // starts behind forwards requests to the primary, and later answers from its own, older data.
        if (shouldHave && reached >= required) return results;
        if (this.#log !== this.#position.restarts || this.#index < required) return null;
      }
    } catch (error) {
      // It may have waited for an index that it does not reach.
      this.#index = 0n;
      const { message, retryable } = translateError(error, "read");
      // The primary reports errors of the statements.
      if (retryable || isRefusal(error)) this.#leaveOut(message);
      return null;
    }
  }

  /** Sends reads to the primary for a while. Failures of concurrent reads count as one. */
  #leaveOut(message: string): void {
    if (this.#leftOutUntil !== null) return;
    warn(`the read replica is left out until it answers: ${message}`);
    this.#leftOutUntil = performance.now() + this.#absenceMs;
  }

  /** Tests an unused replica again, once its time is over. The read that triggers the test goes to the primary. */
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
    // One client for each request, so that the index belongs to its answer. The runtime shares the connections.
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

  /** Records an answer. `before` is the index when the request was sent. */
  #note(reached: bigint, before: bigint): void {
    const { restarts, highestBeforeRestart } = this.#position;
    if (this.#log !== restarts) {
      // Its data may be older than the restart until its index falls, or exceeds those of the earlier logs. A fall from
      // an older log than the last one may lead to the last one.
      const isOfLastLog = this.#log === restarts - 1;
      const hasFallen =
        (this.#refused.restarts === restarts && reached < this.#refused.index) ||
        (isOfLastLog && reached < before);
      if (!hasFallen && reached <= highestBeforeRestart) {
        this.#refused = { restarts, index: reached };
        return;
      }
      this.#log = restarts;
    }
    this.#index = reached;
    this.#position.noteCopy(reached);
  }
}

const selectOne = { sql: "select 1", args: [] };

/** A failing replica changes no answer, so a warning is its only sign. Runtimes without `process` have no warnings. */
function warn(message: string): void {
  const { process } = globalThis as { process?: { emitWarning?: (...args: string[]) => void } };
  process?.emitWarning?.(message, "GorkflowWarning", "GORKFLOW_READ_REPLICA");
}
