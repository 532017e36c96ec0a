import type { LocalClient } from "../../../client/local-client.ts";
import {
  runQueries,
  type Connection,
  type Queries,
  type SignalOptions,
  type StatementResult,
} from "./connection.ts";
import { rethrow, translateError } from "../errors/translate.ts";
import type { BoundStatement } from "../statements/statement.ts";
import { TransactionConnection } from "./transaction.ts";

/** A connection on our own local client. */
export class LocalConnection implements Connection {
  readonly #client: LocalClient;

  constructor(client: LocalClient) {
    this.#client = client;
  }

  async read(statements: readonly BoundStatement[]): Promise<readonly StatementResult[]> {
    try {
      return await this.#client.read(statements);
    } catch (error) {
      throw translateError(error, "read");
    }
  }

  async snapshot<T>(queries: () => Queries<T>): Promise<T> {
    const transaction = await this.#client.transaction("read").catch(rethrow("read"));
    try {
      return await runQueries(new TransactionConnection(transaction), queries());
    } finally {
      transaction.close();
    }
  }

  async write(
    statements: readonly BoundStatement[],
    { signal }: SignalOptions = {},
  ): Promise<readonly StatementResult[]> {
    try {
      return await this.#client.write(statements, { signal });
    } catch (error) {
      throw signal?.aborted === true && error === signal.reason
        ? error
        : translateError(error, "write");
    }
  }

  writeGuarded: Connection["write"] = (statements, options) => this.write(statements, options);

  async runScript(sql: string): Promise<void> {
    try {
      await this.#client.executeMultiple(sql);
    } catch (error) {
      throw translateError(error, "write");
    }
  }

  async transaction<T>(work: (tx: Connection) => Promise<T>): Promise<T> {
    const transaction = await this.#client.begin().catch(rethrow("write"));
    const connection = new TransactionConnection(transaction);
    try {
      const result = await work(connection);
      await connection.finish();
      await transaction.commit().catch(rethrow("write"));
      return result;
    } finally {
      connection.end();
      // Rolls back a transaction that was not committed.
      transaction.close();
    }
  }
}
