import { existsSync, statSync } from "node:fs";
import Database from "libsql";
import AsyncDatabase from "libsql/promise";
import { Mutex } from "../async/mutex.ts";
import { createClient } from "./create-client.ts";
import { pathOfUrl } from "./file-path.ts";
import type { LocalClient } from "./local-client.ts";
import { PrimaryRelay, type PrimaryConfig } from "./primary-relay.ts";
import { createReader, type Reader } from "./reader.ts";
import { clientClosed } from "./sqlite-errors.ts";

export interface LocalCopyConfig extends PrimaryConfig {
  readonly url: string;
  readonly encryptionKey?: string;
  /** The time limit of a sync in milliseconds. */
  readonly timeoutMs: number;
}

/**
 * The file of an embedded replica.
 *
 * One connection of the binding syncs it. Reads use connections of our own client that cannot write, because a row that
 * is written to the file would separate it from its primary permanently.
 */
export class LocalCopy {
  readonly #config: LocalCopyConfig;
  readonly #path: string;
  readonly #mutex = new Mutex();
  #relay: PrimaryRelay | null = null;
  #replica: Database.Database | null = null;
  #client: LocalClient | null = null;
  #reader: Reader | null = null;
  #inode = 0n;
  #isClosed = false;

  constructor(config: LocalCopyConfig) {
    this.#path = pathOfUrl(config.url);
    this.#config = config;
  }

  /** True if an earlier process has synced the file. */
  get exists(): boolean {
    return existsSync(this.#path) && existsSync(`${this.#path}-client_wal_index`);
  }

  /** True if this process has synced the file. */
  get isOnline(): boolean {
    return this.#replica !== null;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** A client that reads the file. */
  get client(): LocalClient {
    if (this.#isClosed) throw clientClosed();
    const { encryptionKey } = this.#config;
    return (this.#client ??= createClient({ path: this.#path, encryptionKey, readOnly: true }));
  }

  /** Like `client`, for long queries. */
  get reader(): Reader {
    if (this.#isClosed) throw clientClosed();
    const { encryptionKey } = this.#config;
    return (this.#reader ??= createReader({ path: this.#path, encryptionKey }));
  }

  /** Fetches the new frames of the primary, and returns the replication index of the file. */
  sync(): Promise<bigint> {
    return this.#mutex.run(() => this.#sync());
  }

  close(): void {
    this.#isClosed = true;
    this.#closeClients();
    this.#relay?.close();
    // Closing the relay ends a running sync.
    void this.#mutex.run(() => this.#replica?.close());
  }

  async #sync(): Promise<bigint> {
    if (this.isClosed) throw clientClosed();
    const { authToken, encryptionKey, timeoutMs } = this.#config;
    this.#relay ??= await PrimaryRelay.start(this.#config, timeoutMs);
    // `close` was called meanwhile and had no relay to close.
    if (this.isClosed) {
      this.#relay.close();
      throw clientClosed();
    }
    const shut = this.#relay.open(timeoutMs);
    try {
      this.#replica ??= new Database(this.#path, {
        syncUrl: this.#relay.url,
        ...(authToken !== undefined && { authToken }),
        ...(encryptionKey !== undefined && { encryptionKey }),
      });
      const replicated = (await AsyncDatabase.prototype.sync.call(this.#replica)) as {
        readonly frame_no?: number;
      };
      return BigInt(replicated.frame_no ?? 0);
    } finally {
      shut();
      this.#followFile();
    }
  }

  /** If a primary has lost its log, the file is created again. Clients would continue to read the old one. */
  #followFile(): void {
    const inode = statSync(this.#path, { bigint: true, throwIfNoEntry: false })?.ino ?? 0n;
    if (this.#inode !== 0n && inode !== this.#inode) this.#closeClients();
    this.#inode = inode;
  }

  #closeClients(): void {
    this.#client?.close();
    this.#reader?.close();
    this.#client = null;
    this.#reader = null;
  }
}
