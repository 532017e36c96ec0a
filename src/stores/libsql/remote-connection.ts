import type { Client, Transaction } from "@libsql/client";
import { GorkflowError } from "../../errors.ts";
import type { Connection, Reader, StatementResult, WriteOptions } from "./connection.ts";
import { isStatementFailure } from "./driver-symptoms.ts";
import { translateError, type Attempt } from "./error-translation.ts";
import type { Replica } from "./read-replica.ts";
import { isUndecided, Reconnection } from "./reconnection.ts";
import { resultOf } from "./result-sets.ts";
import type { BoundStatement } from "./statement.ts";
import { defaultTimeoutMs, within } from "./timeouts.ts";
import { TransactionConnection, type StatementRunner } from "./transaction-connection.ts";

/** One caller's statements on their way to the server. */
interface Group {
  readonly statements: readonly BoundStatement[];
  readonly repeatable: boolean;
  readonly resolve: (results: readonly StatementResult[]) => void;
  readonly reject: (error: unknown) => void;
}

/** How a server is reached, beyond its client. */
export interface RemoteOptions {
  /** How long the server may take for one answer; 30000 when absent. */
  readonly timeoutMs?: number | undefined;
  /** Where reads go first. */
  readonly replica?: Replica | undefined;
  /** Finds out why a connection was closed without a reason: another error, or the same. */
  readonly explain?: ((error: unknown, attempt: Attempt) => Promise<unknown>) | undefined;
}

/** A server runs a batch within seconds or not at all; what is more waits for the next one. */
const maxStatementsPerBatch = 1000;
const maxBytesPerBatch = 4 * 1024 * 1024;

/**
 * A connection to a libSQL server, over HTTP or WebSocket.
 *
 * Writes that are issued while a batch is under way travel together in the next one, in order: one round trip
 * for any number of callers. Guarded batches travel alone.
 *
 * A lost connection is tried again for a few seconds. Reads always are. Writes are when nothing of them can have
 * been written: the connection was never made, or the server says so. When they may have been, only those that
 * are repeatable are sent again; the others fail with `outcome: "unknown"`. Transactions of the caller are never
 * sent again.
 */
export class RemoteConnection implements Connection {
  readonly #client: Client;
  readonly #options: RemoteOptions;
  readonly #queue: Group[] = [];
  #sending = false;

  constructor(client: Client, options: RemoteOptions = {}) {
    this.#client = client;
    this.#options = options;
  }

  async read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[]> {
    const { replica } = this.#options;
    return (
      (replica === undefined ? null : await replica.read(statements)) ??
      (await this.#sendUntilKnown(statements, "read"))
    );
  }

  async snapshot<T>(work: (reader: Reader) => Promise<T>): Promise<T> {
    const { timeoutMs = defaultTimeoutMs } = this.#options;
    const bounded = (reader: Reader): Reader => ({
      read: (statements) =>
        within(timeoutMs, "read", reader.read(statements), () => this.#abandon()),
    });
    const reconnection = new Reconnection();
    for (;;) {
      try {
        return await runSnapshot(
          () => this.#client.transaction("read"),
          (reader) => work(bounded(reader)),
        );
      } catch (error) {
        if (!(error instanceof GorkflowError)) throw error;
        await reconnection.pause(error);
      }
    }
  }

  write(
    statements: readonly BoundStatement[],
    { repeatable = false }: WriteOptions = {},
  ): Promise<readonly StatementResult[]> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ statements, repeatable, resolve, reject });
      if (!this.#sending) void this.#drain();
    });
  }

  writeGuarded(statements: readonly BoundStatement[]): Promise<readonly StatementResult[]> {
    return this.#sendUntilKnown(statements, "write");
  }

  async transaction<T>(work: (tx: Connection) => Promise<T>): Promise<T> {
    return runTransaction(() => this.#client.transaction("write"), work);
  }

  async #drain(): Promise<void> {
    this.#sending = true;
    // Calls of the same turn of the event loop are one batch from the first.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      // One batch at a time keeps the order.
      await this.#sendGroups(this.#nextGroups(), new Reconnection());
    }
    this.#sending = false;
  }

  #nextGroups(): Group[] {
    let statements = 0;
    let bytes = 0;
    let count = 0;
    for (const group of this.#queue) {
      statements += group.statements.length;
      bytes += sizeOf(group);
      if (count > 0 && (statements > maxStatementsPerBatch || bytes > maxBytesPerBatch)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  /** Never rejects: each group learns of its own outcome. */
  async #sendGroups(groups: readonly Group[], reconnection: Reconnection): Promise<void> {
    try {
      const results = await this.#send(
        groups.flatMap((group) => group.statements),
        "write",
      );
      let start = 0;
      for (const { statements, resolve } of groups) {
        resolve(results.slice(start, start + statements.length));
        start += statements.length;
      }
    } catch (error) {
      const translated = translateError(error, "write");
      // A replica gives its statements' failures and the loss of its primary the same code.
      if (groups.length > 1 && isStatementFailure(error) && !isUndecided(translated)) {
        // The batch is undone. One group spoiled it for all: each goes by itself.
        for (const group of groups) {
          await this.#sendGroups([group], reconnection);
        }
        return;
      }
      await this.#sendAgain(groups, translated, reconnection);
    }
  }

  /** What may be sent again is; the others learn that it failed. Never rejects. */
  async #sendAgain(
    groups: readonly Group[],
    error: GorkflowError,
    reconnection: Reconnection,
  ): Promise<void> {
    const again = isUndecided(error) ? groups.filter(({ repeatable }) => repeatable) : groups;
    for (const group of groups) if (!again.includes(group)) group.reject(error);
    if (again.length === 0) return;
    try {
      await reconnection.pause(error);
    } catch (final) {
      for (const { reject } of again) reject(final);
      return;
    }
    await this.#sendGroups(again, reconnection);
  }

  /** One group of its own, sent again until it is known what it came to. */
  async #sendUntilKnown(
    statements: readonly BoundStatement[],
    attempt: Attempt,
  ): Promise<readonly StatementResult[]> {
    const reconnection = new Reconnection();
    for (;;) {
      try {
        return await this.#send(statements, attempt);
      } catch (error) {
        const translated = translateError(error, attempt);
        if (isUndecided(translated)) throw translated;
        await reconnection.pause(translated);
      }
    }
  }

  async #send(
    statements: readonly BoundStatement[],
    attempt: Attempt,
  ): Promise<readonly StatementResult[]> {
    const { timeoutMs = defaultTimeoutMs, explain } = this.#options;
    const [only, ...others] = statements;
    // A single read needs no transaction around it.
    const request =
      attempt === "read" && only !== undefined && others.length === 0
        ? this.#client.execute({ sql: only.sql, args: only.args }).then((result) => [result])
        : this.#client.batch(
            statements.map(({ sql, args }) => ({ sql, args })),
            attempt,
          );
    try {
      const results = await within(timeoutMs, attempt, request, () => this.#abandon());
      return results.map(resultOf);
    } catch (error) {
      throw explain === undefined ? error : await explain(error, attempt);
    }
  }

  /** A socket that does not answer never will. Over HTTP each request has a connection that ends with it. */
  #abandon(): void {
    if (this.#client.protocol === "ws") {
      // It fails when the server is still away; the next call connects anew.
      void Promise.resolve(this.#client.reconnect()).catch(() => undefined);
    }
  }
}

function sizeOf({ statements }: Group): number {
  let bytes = 0;
  for (const { sql, args } of statements) {
    bytes += sql.length;
    for (const argument of args) bytes += typeof argument === "string" ? argument.length : 8;
  }
  return bytes;
}

/** Runs `work` in a transaction of `@libsql/client`; commits when it returns, rolls back when it throws. */
export async function runTransaction<T>(
  begin: () => Promise<Transaction>,
  work: (tx: Connection) => Promise<T>,
): Promise<T> {
  const transaction = await begin().catch((error: unknown) => {
    throw translateError(error, "write");
  });
  const connection = new TransactionConnection(runnerOf(transaction));
  try {
    const result = await work(connection);
    connection.end();
    await transaction.commit().catch((error: unknown) => {
      throw translateError(error, "write");
    });
    return result;
  } catch (error) {
    connection.end();
    // The error of the work is what the caller must see, even where undoing fails as well.
    await transaction.rollback().catch(() => undefined);
    throw error;
  } finally {
    transaction.close();
  }
}

/** Runs `work` in a reading transaction of `@libsql/client`, whose end nobody waits for. */
export async function runSnapshot<T>(
  begin: () => Promise<Transaction>,
  work: (reader: Reader) => Promise<T>,
): Promise<T> {
  const transaction = await begin().catch((error: unknown) => {
    throw translateError(error, "read");
  });
  try {
    return await work(new TransactionConnection(runnerOf(transaction)));
  } finally {
    transaction.close();
  }
}

function runnerOf(transaction: Transaction): StatementRunner {
  return {
    run: async (statements) => {
      const [only, ...others] = statements;
      if (only !== undefined && others.length === 0) {
        return [resultOf(await transaction.execute({ sql: only.sql, args: [...only.args] }))];
      }
      const results = await transaction.batch(
        statements.map(({ sql, args }) => ({ sql, args: [...args] })),
      );
      return results.map(resultOf);
    },
  };
}
