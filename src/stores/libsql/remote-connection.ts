import type { Client, Transaction } from "@libsql/client";
import { GuardFailedError, type Connection, type StatementResult } from "./connection.ts";
import { isGuardFailure, isStatementFailure, translateError } from "./error-translation.ts";
import { resultOf } from "./result-sets.ts";
import type { BoundStatement } from "./statement.ts";
import { TransactionConnection } from "./transaction-connection.ts";

/** One caller's statements on their way to the server. */
interface Group {
  readonly statements: readonly BoundStatement[];
  readonly resolve: (results: readonly StatementResult[]) => void;
  readonly reject: (error: unknown) => void;
}

/** A server runs a batch within seconds or not at all; what is more waits for the next one. */
const maxStatementsPerBatch = 1000;
const maxBytesPerBatch = 4 * 1024 * 1024;

/**
 * A connection to a libSQL server, over HTTP or WebSocket.
 *
 * Writes that are issued while a batch is under way travel together in the next one, in order: one round trip
 * for any number of callers. Guarded batches travel alone.
 */
export class RemoteConnection implements Connection {
  readonly #client: Client;
  readonly #queue: Group[] = [];
  #sending = false;

  constructor(client: Client) {
    this.#client = client;
  }

  async read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[]> {
    try {
      const [only, ...others] = statements;
      if (only !== undefined && others.length === 0) {
        return [resultOf(await this.#client.execute({ sql: only.sql, args: only.args }))];
      }
      return await this.#send(statements, "read");
    } catch (error) {
      throw translateError(error, "read");
    }
  }

  write(statements: readonly BoundStatement[]): Promise<readonly StatementResult[]> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ statements, resolve, reject });
      if (!this.#sending) void this.#drain();
    });
  }

  readonly writeGuarded = async (
    statements: readonly BoundStatement[],
  ): Promise<readonly StatementResult[]> => {
    try {
      return await this.#send(statements, "write");
    } catch (error) {
      if (isGuardFailure(error)) throw new GuardFailedError();
      throw translateError(error, "write");
    }
  };

  async transaction<T>(work: (tx: Connection) => Promise<T>): Promise<T> {
    return runTransaction(() => this.#client.transaction("write"), work);
  }

  async #drain(): Promise<void> {
    this.#sending = true;
    // Calls of the same turn of the event loop are one batch from the first.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      // One batch at a time keeps the order.
      await this.#sendGroups(this.#nextGroups());
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
  async #sendGroups(groups: readonly Group[]): Promise<void> {
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
      const [only, ...others] = groups;
      if (only !== undefined && others.length > 0 && isStatementFailure(error)) {
        // The batch is undone. One group spoiled it for all: each goes by itself.
        for (const group of groups) {
          await this.#sendGroups([group]);
        }
        return;
      }
      const translated = translateError(error, "write");
      for (const { reject } of groups) reject(translated);
    }
  }

  async #send(
    statements: readonly BoundStatement[],
    mode: "read" | "write",
  ): Promise<readonly StatementResult[]> {
    const results = await this.#client.batch(
      statements.map(({ sql, args }) => ({ sql, args })),
      mode,
    );
    return results.map(resultOf);
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
  const connection = new TransactionConnection({
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
  });
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
