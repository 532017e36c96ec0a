import type { Client, InStatement, Transaction } from "@libsql/client";
import { Mutex } from "../../../async/mutex.ts";
import { busyTimeoutMs, whileOthersWait } from "../../../async/open-transaction.ts";
import { Backoff, retry, retryFor } from "../../../async/retry.ts";
import { StoreBusyError, StoreConnectionError } from "../../../errors.ts";
import {
  resultOf,
  type Connection,
  type Queries,
  type SignalOptions,
  type StatementResult,
} from "./connection.ts";
import { isUnfinishedStatement, isWithoutConnection } from "../errors/symptoms.ts";
import { rethrow, translateError } from "../errors/translate.ts";
import { runSnapshot, runTransaction } from "./remote.ts";
import type { BoundStatement } from "../statements/statement.ts";

/**
 * A connection on a local client of `@libsql/client`: an app's own database, or an embedded replica.
 *
 * Its pool neither queues nor waits, and a statement that met SQLITE_BUSY spoils its connection: later writes outside
 * a transaction are acknowledged and never committed. So one operation runs at a time, and every write takes the lock
 * with `BEGIN IMMEDIATE` in a way that leaves no statement behind. If a statement meets a lock anyway, the client is
 * not used any more.
 */
export class ExclusiveConnection implements Connection {
  readonly #client: Client;
  readonly #mutex = new Mutex();
  #spoiled = false;

  constructor(client: Client) {
    this.#client = client;
  }

  read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[]> {
    return this.#exclusively(async () => {
      try {
        const batch = statements.map(({ sql, args }) => ({ sql, args }));
        const results = await onConnection(() => this.#client.batch(batch, "deferred"));
        return results.map(resultOf);
      } catch (error) {
        const translated = translateError(error, "read");
        if (translated instanceof StoreBusyError && !isWithoutConnection(error)) {
          this.#spoiled = true;
        }
        throw translated;
      }
    });
  }

  snapshot<T>(queries: () => Queries<T>): Promise<T> {
    return this.#exclusively(async () => {
      try {
        return await runSnapshot(
          () => onConnection(() => this.#client.transaction("deferred")),
          queries,
        );
      } catch (error) {
        if (error instanceof StoreBusyError && !isWithoutConnection(error)) this.#spoiled = true;
        throw error;
      }
    });
  }

  write(
    statements: readonly BoundStatement[],
    options?: SignalOptions,
  ): Promise<readonly StatementResult[]> {
    return this.transaction((tx) => tx.write(statements), options);
  }

  writeGuarded: Connection["write"] = (statements, options) => this.write(statements, options);

  transaction<T>(work: (tx: Connection) => Promise<T>, { signal }: SignalOptions = {}): Promise<T> {
    return this.#exclusively(async () => {
      signal?.throwIfAborted();
      return runTransaction(
        async () => this.#watched(await this.#begin(signal)),
        (tx) => {
          // The call may have been aborted while it waited for the lock.
          signal?.throwIfAborted();
          return this.#whileOthersWait(() => work(tx));
        },
      );
    });
  }

  #exclusively<T>(operation: () => Promise<T>): Promise<T> {
    return this.#mutex.run(() => (this.#spoiled ? Promise.reject(spoiledError()) : operation()));
  }

  /** The transaction, which spoils the client if one of its statements meets a lock. */
  #watched(transaction: Transaction): Transaction {
    const watch = async <T>(call: Promise<T>): Promise<T> => {
      try {
        return await call;
      } catch (error) {
        if (translateError(error, "read") instanceof StoreBusyError) this.#spoiled = true;
        throw error;
      }
    };
    const { execute, batch, commit } = transaction;
    return Object.assign(transaction, {
      execute: (statement: InStatement) => watch(execute.call(transaction, statement)),
      batch: (statements: InStatement[]) => watch(batch.call(transaction, statements)),
      commit: () => watch(commit.call(transaction)),
    });
  }

  #whileOthersWait<T>(transaction: () => Promise<T>): Promise<T> {
    return whileOthersWait(transaction, (time, error) => this.#mutex.rejectWaiting(time, error));
  }

  /** A transaction that holds the write lock. BEGIN is a script, because a prepared BEGIN that fails at a lock stays open. */
  #begin(signal: AbortSignal | undefined): Promise<Transaction> {
    const begin = async () => {
      const transaction = await this.#client.transaction("deferred").catch(rethrow("write"));
      try {
        await transaction.executeMultiple("commit; begin immediate");
        return transaction;
      } catch (error) {
        transaction.close();
        if (!isUnfinishedStatement(error)) throw translateError(error, "write");
        // A statement of the app met a lock before. Waiting does not help.
        this.#spoiled = true;
        throw spoiledError();
      }
    };
    return retry(
      begin,
      retryFor(busyTimeoutMs, (error) => error instanceof StoreBusyError, new Backoff(2, 50)),
      signal,
    );
  }
}

/** Runs `work`, which borrows a connection of the client, when one is free. */
function onConnection<T>(work: () => Promise<T>): Promise<T> {
  return retry(work, retryFor(busyTimeoutMs, isWithoutConnection, new Backoff(2, 50)));
}

function spoiledError(): StoreConnectionError {
  return new StoreConnectionError({
    reason:
      "this client met a locked database and may acknowledge writes that it never commits: close it and open " +
      "another, or use createClient of gorkflow/client, which is safe",
  });
}
