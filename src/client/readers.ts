import { retryWhileBusy } from "./busy-wait.ts";
import type { LocalDatabaseSettings } from "./config.ts";
import type { DatabaseFile } from "./database-file.ts";
import { NativeConnection } from "./native-connection.ts";
import { clientClosed, isBusy } from "./sqlite-errors.ts";
import type { TransactionLease } from "./transaction.ts";

/** The number of idle connections that are kept for reading transactions. */
const maxIdle = 3;

/**
 * The connections that read a database file. They cannot write and do not wait for writers. One connection serves all
 * synchronous reads. Each reading transaction has its own while it is open.
 */
export class Readers {
  readonly #settings: LocalDatabaseSettings;
  readonly #file: DatabaseFile;
  #main: NativeConnection | null = null;
  readonly #idle: NativeConnection[] = [];
  readonly #leased = new Set<NativeConnection>();
  #closed = false;

  constructor(settings: LocalDatabaseSettings, file: DatabaseFile) {
    this.#settings = settings;
    this.#file = file;
  }

  /**
   * The result of `work`, synchronously in nearly all cases. `work` is retried while it meets a lock, for example while
   * the log of a crashed process is recovered.
   */
  use<T>(work: (connection: NativeConnection) => T): T | Promise<T> {
    const read = () => {
      if (this.#closed) throw clientClosed();
      return work((this.#main ??= this.#open()));
    };
    try {
      return read();
    } catch (error) {
      if (!isBusy(error)) throw error;
    }
    return retryWhileBusy(read, this.#settings.busyTimeoutMs);
  }

  /** A connection inside a transaction. Its first statement takes the snapshot. */
  begin(): TransactionLease {
    if (this.#closed) throw clientClosed();
    const connection = this.#idle.pop() ?? this.#open();
    try {
      connection.exec("begin");
    } catch (error) {
      connection.close();
      throw error;
    }
    this.#leased.add(connection);
    return {
      connection,
      mayMeetLocks: true,
      release: () => {
        this.#leased.delete(connection);
        connection.restore();
        const isReusable = connection.isOpen && !connection.isBound;
        if (isReusable && this.#idle.length < maxIdle && !this.#closed) this.#idle.push(connection);
        else connection.close();
      },
    };
  }

  close(): void {
    this.#closed = true;
    this.#main?.close();
    for (const connection of [...this.#idle.splice(0), ...this.#leased]) connection.close();
  }

  #open(): NativeConnection {
    return new NativeConnection(this.#settings, this.#file, "reads");
  }
}
