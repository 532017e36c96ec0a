import type { Client, InStatement, ResultSet } from "@libsql/client";
import type { LocalCopy } from "../../client/local-copy.ts";
import { kindOf } from "../../client/statement-kinds.ts";
import type { StatementResult } from "../sqlite/connections/connection.ts";
import { translateError } from "../sqlite/errors/translate.ts";
import type { PrimaryPosition } from "./primary-position.ts";
import type { Replica } from "../sqlite/connections/connection.ts";
import { resultOf } from "../sqlite/connections/result-sets.ts";
import type { BoundStatement } from "../sqlite/statements/statement.ts";

/**
 * A copy of a server's database in a local file.
 *
 * Reads are answered by the file, once it has everything that this process has seen; writes and transactions go
 * to the primary, over HTTP, as they would without the copy. Without the primary the copy still answers, unless
 * it lacks something that was written here.
 */
export class EmbeddedReplica implements Replica {
  readonly #copy: LocalCopy;
  readonly #primary: Client;
  readonly #position: PrimaryPosition;
  #index = 0n;
  /** The `restarts` of the log that the copy is from. */
  #log = 0;
  /** The doubts about the primary's position that the copy has caught up with. */
  #doubts = 0;
  #syncing: Promise<void> | null = null;
  #nextSync: Promise<void> | null = null;

  constructor(copy: LocalCopy, primary: Client, position: PrimaryPosition) {
    this.#copy = copy;
    this.#primary = primary;
    this.#position = position;
  }

  async read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[] | null> {
    try {
      const results = await this.ask(statements.map(({ sql, args }) => ({ sql, args })));
      return results?.map(resultOf) ?? null;
    } catch (error) {
      throw translateError(error, "read");
    }
  }

  /** As `read`, with the client's own result sets. */
  async ask(statements: InStatement[]): Promise<ResultSet[] | null> {
    try {
      // A sync that is under way may suffice.
      if (!this.#isCurrent()) await this.#syncing;
      if (!this.#isCurrent()) await this.sync();
    } catch {
      return null;
    }
    return this.#copy.read(statements);
  }

  /**
   * The copy has everything that the primary had when this was called. The primary is asked first: fetching
   * frames blocks the event loop, so it happens when there are some, and never while nobody answers.
   *
   * @throws {StoreConnectionError} when the primary cannot be reached; the copy is as it was.
   */
  sync(): Promise<void> {
    if (this.#syncing === null) return this.#startSync();
    // The one under way may have asked the primary before this call.
    this.#nextSync ??= this.#syncing
      .catch(() => undefined)
      .then(() => {
        this.#nextSync = null;
        return this.#startSync();
      });
    return this.#nextSync;
  }

  #startSync(): Promise<void> {
    const syncing = this.#fetchFrames().finally(() => {
      if (this.#syncing === syncing) this.#syncing = null;
    });
    this.#syncing = syncing;
    return syncing;
  }

  async #fetchFrames(): Promise<void> {
    try {
      await this.#primary.execute("select 1");
      const { restarts, doubts } = this.#position;
      const isKnown = this.#position.isTold && this.#copy.isOnline;
      if (isKnown && this.#isCurrent()) return;
      this.#index = await this.#copy.sync();
      this.#log = restarts;
      this.#doubts = doubts;
    } catch (error) {
      throw translateError(error, "read");
    }
  }

  #isCurrent(): boolean {
    const { restarts, index, isCertain, doubts } = this.#position;
    return this.#log === restarts && this.#index >= index && (isCertain || this.#doubts === doubts);
  }
}

/** A client that reads from the copy what it can, and leaves the rest to the primary. */
export function createReplicaClient(
  replica: EmbeddedReplica,
  primary: Client,
  close: () => void,
): Client {
  return {
    protocol: primary.protocol,
    get closed() {
      return primary.closed;
    },
    async execute(statement: InStatement | string, args?: never) {
      const asked: InStatement =
        typeof statement === "string" && args !== undefined ? { sql: statement, args } : statement;
      const answer = isRead(asked) ? await replica.ask([asked]) : null;
      return answer?.[0] ?? primary.execute(asked);
    },
    async batch(statements, mode) {
      const answer = statements.every(isRead)
        ? await replica.ask(
            statements.map((statement) =>
              Array.isArray(statement)
                ? { sql: statement[0], args: statement[1] ?? [] }
                : statement,
            ),
          )
        : null;
      return answer ?? primary.batch(statements, mode);
    },
    migrate: (statements) => primary.migrate(statements),
    transaction: (mode?: "write" | "read" | "deferred") => primary.transaction(mode),
    executeMultiple: (sql) => primary.executeMultiple(sql),
    async sync() {
      await replica.sync();
      return undefined;
    },
    reconnect: () => primary.reconnect(),
    close,
  };
}

function isRead(statement: InStatement | [string, unknown?]): boolean {
  const [text] = Array.isArray(statement) ? statement : [statement];
  return kindOf(typeof text === "string" ? text : text.sql) === "read";
}
