import { existsSync } from "node:fs";
import { createClient, LibsqlError, type Client } from "@libsql/client/sqlite3";
import { fileUrl, pathOfUrl } from "./file-path.ts";
import type { InStatement, ResultSet } from "@libsql/client";

export interface LocalCopyConfig {
  readonly url: string;
  readonly syncUrl: string;
  readonly authToken?: string;
  readonly encryptionKey?: string;
}

/**
 * The file of an embedded replica.
 *
 * The binding opens one only while its primary answers. Until then the file is opened as a database like any
 * other, for reading only: a row that was written to it would part it from its primary for good.
 */
export class LocalCopy {
  readonly #config: LocalCopyConfig;
  readonly #path: string;
  #client: Client | null = null;
  #isOnline = false;
  #isClosed = false;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(config: LocalCopyConfig) {
    this.#path = pathOfUrl(config.url);
    this.#config = { ...config, url: fileUrl(this.#path) };
  }

  /** Whether there is a copy from an earlier time. */
  get exists(): boolean {
    return existsSync(this.#path) && existsSync(`${this.#path}-client_wal_index`);
  }

  /** Whether it is opened as a replica. */
  get isOnline(): boolean {
    return this.#isOnline;
  }

  /**
   * All of them on one snapshot: nothing but `sync` changes the file. In a batch the binding would send its BEGIN,
   * and with it every statement, to the primary.
   */
  read(statements: InStatement[]): Promise<ResultSet[]> {
    return this.#inTurn(async () => {
      const client = (this.#client ??= await this.#openForReading());
      const results: ResultSet[] = [];
      for (const statement of statements) results.push(await client.execute(statement));
      return results;
    });
  }

  /** Fetches what the primary has more, and returns the replication index that the copy is at. */
  sync(): Promise<bigint> {
    return this.#inTurn(async () => {
      if (this.#client === null || !this.#isOnline) {
        this.#client?.close();
        this.#client = null;
        this.#client = createClient({ ...this.#config });
        this.#isOnline = true;
      }
      const replicated = await this.#client.sync();
      return BigInt(replicated?.frame_no ?? 0);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#client?.close();
  }

  /** One after the other: there is one connection, and it may be exchanged. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => {
      if (this.#isClosed) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
      return work();
    });
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #openForReading(): Promise<Client> {
    const { url, encryptionKey } = this.#config;
    // One connection: the pragma holds for the one that it was sent on.
    const client = createClient({
      url,
      concurrency: 1,
      ...(encryptionKey !== undefined && { encryptionKey }),
    });
    await client.execute("pragma query_only = on");
    return client;
  }
}
