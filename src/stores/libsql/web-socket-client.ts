import { createClient, LibsqlError, type Client } from "@libsql/client/web";
import type { InArgs, InStatement, ResultSet, Transaction, TransactionMode } from "@libsql/client";
import type { ServerConfig } from "./http-client.ts";
import { ServerTimeoutError, within } from "../sqlite/connections/timeouts.ts";

/**
 * A client over a WebSocket with a time limit for each call. A socket that does not answer in time is closed, and all
 * calls that wait for it fail. The next call connects again.
 */
export class WebSocketClient implements Client {
  readonly protocol = "ws";
  readonly #config: ServerConfig;
  readonly #timeoutMs: number;
  #current: Client | null = null;
  #isClosed = false;

  constructor(config: ServerConfig, timeoutMs: number) {
    this.#config = config;
    this.#timeoutMs = timeoutMs;
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  execute(statement: InStatement | string, args?: InArgs): Promise<ResultSet> {
    return this.#call((client) =>
      typeof statement === "string" ? client.execute(statement, args) : client.execute(statement),
    );
  }

  batch(
    statements: (InStatement | [string, InArgs?])[],
    mode?: TransactionMode,
  ): Promise<ResultSet[]> {
    return this.#call((client) => client.batch(statements, mode));
  }

  migrate(statements: InStatement[]): Promise<ResultSet[]> {
    return this.#call((client) => client.migrate(statements));
  }

  executeMultiple(sql: string): Promise<void> {
    return this.#call((client) => client.executeMultiple(sql));
  }

  async transaction(mode?: TransactionMode): Promise<Transaction> {
    let client = null as Client | null;
    const transaction = await this.#call((current) => {
      client = current;
      return current.transaction(mode ?? "write");
    });
    const inTime = <T>(request: Promise<T>) => this.#inTime(client, request);
    return {
      execute: (statement) => inTime(transaction.execute(statement)),
      batch: (statements) => inTime(transaction.batch(statements)),
      executeMultiple: (sql) => inTime(transaction.executeMultiple(sql)),
      commit: () => inTime(transaction.commit()),
      rollback: () => inTime(transaction.rollback()),
      close: () => transaction.close(),
      get closed() {
        return transaction.closed;
      },
    };
  }

  async sync(): Promise<undefined> {
    return this.#call(async (client) => {
      await client.sync();
      return undefined;
    });
  }

  reconnect(): void {
    this.#giveUp(this.#current);
  }

  close(): void {
    this.#isClosed = true;
    this.#current?.close();
  }

  async #call<T>(request: (client: Client) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
    const client = (this.#current ??= createClient({ ...this.#config }));
    return this.#inTime(client, request(client));
  }

  async #inTime<T>(client: Client | null, request: Promise<T>): Promise<T> {
    try {
      return await within(this.#timeoutMs, request, () => this.#giveUp(client));
    } catch (error) {
      // Another call has closed the socket that this one waited for.
      if (client !== this.#current && !this.#isClosed)
        throw new ServerTimeoutError(this.#timeoutMs);
      throw error;
    }
  }

  #giveUp(client: Client | null): void {
    if (client === null || client !== this.#current || this.#isClosed) return;
    this.#current = null;
    client.close();
  }
}
