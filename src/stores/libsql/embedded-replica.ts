import type { Client, InStatement } from "@libsql/client";
import type { LocalCopy } from "../../client/local-copy.ts";
import { kindOf } from "../../client/statement-kinds.ts";
import { translateError } from "../sqlite/errors/translate.ts";
import type { Replica, StatementResult } from "../sqlite/connections/connection.ts";
import { within } from "../sqlite/connections/timeouts.ts";
import type { BoundStatement } from "../sqlite/statements/statement.ts";
import type { PrimaryPosition } from "./primary-position.ts";

/** The longest time that a read waits for a sync. The primary answers it then. */
const patienceMs = 5_000;

/** How long reads go to the primary without waiting after a sync that failed or was too slow. */
const absenceMs = 5_000;

/**
 * A copy of a server's database in a local file.
 *
 * The file answers reads once it has everything that this process has seen. Writes and transactions go to the
 * primary, over HTTP, as they would without the copy. While the primary is away the copy still answers, unless it
 * lacks something that was written here.
 */
export class EmbeddedReplica implements Replica {
  readonly #copy: LocalCopy;
  readonly #primary: Client;
  readonly #position: PrimaryPosition;
  readonly #timeoutMs: number;
  #index = 0n;
  /** The `restarts` of the log that the copy is from. */
  #log = 0;
  /** The `doubts` of the primary's position at the last sync. */
  #doubts = 0;
  #syncing: Promise<void> | null = null;
  #nextSync: Promise<void> | null = null;
  /** Until when reads do not wait for a sync, on the clock of `performance.now()`. */
  #leftOutUntil = 0;

  constructor(copy: LocalCopy, primary: Client, position: PrimaryPosition, timeoutMs: number) {
    this.#copy = copy;
    this.#primary = primary;
    this.#position = position;
    this.#timeoutMs = timeoutMs;
  }

  async read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[] | null> {
    try {
      return (await this.isCurrent()) ? await this.#copy.client.read(statements) : null;
    } catch (error) {
      throw translateError(error, "read");
    }
  }

  /** True if the copy has everything that this process has seen, after a sync if needed. */
  async isCurrent(): Promise<boolean> {
    for (const bringUpToDate of [() => this.#syncing ?? Promise.resolve(), () => this.sync()]) {
      if (this.#isCurrent()) return true;
      if (performance.now() < this.#leftOutUntil) return false;
      if (!(await this.#waitFor(bringUpToDate()))) return false;
    }
    return true;
  }

  /**
   * Updates the copy with everything that the primary had at the time of the call. The primary is asked first, so that
   * frames are fetched only if there are some.
   *
   * @throws {StoreConnectionError} if the primary cannot be reached or is too slow; the copy is unchanged.
   */
  async sync(): Promise<void> {
    try {
      await within(this.#timeoutMs, this.#syncAfterThis(), () => undefined);
      this.#leftOutUntil = 0;
    } catch (error) {
      this.#leftOutUntil = performance.now() + absenceMs;
      throw translateError(error, "read");
    }
  }

  #syncAfterThis(): Promise<void> {
    if (this.#syncing === null) return this.#startSync();
    // The sync that runs may have asked the primary before this call.
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
    await this.#primary.execute("select 1");
    const { restarts, doubts } = this.#position;
    const isKnown = this.#position.isTold && this.#copy.isOnline;
    if (isKnown && this.#isCurrent()) return;
    this.#index = await this.#copy.sync();
    this.#log = restarts;
    this.#doubts = doubts;
  }

  /** False if the sync fails, or takes longer than a read can wait. */
  async #waitFor(syncing: Promise<void>): Promise<boolean> {
    try {
      await within(Math.min(patienceMs, this.#timeoutMs / 2), syncing, () => undefined);
      return true;
    } catch {
      this.#leftOutUntil = performance.now() + absenceMs;
      return false;
    }
  }

  #isCurrent(): boolean {
    const { restarts, index, isCertain, doubts } = this.#position;
    return this.#log === restarts && this.#index >= index && (isCertain || this.#doubts === doubts);
  }
}

/** A client that reads from the copy if that is current, and leaves everything else to the primary. */
export function createReplicaClient(
  replica: EmbeddedReplica,
  copy: () => Client,
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
      const reads = isRead(asked) && (await replica.isCurrent());
      return (reads ? copy() : primary).execute(asked);
    },
    async batch(statements, mode) {
      const reads = statements.every(isRead) && (await replica.isCurrent());
      return reads ? copy().batch(statements, "read") : primary.batch(statements, mode);
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
