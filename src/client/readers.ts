import { retryWhileBusy } from "./busy-wait.ts";
import type { LocalDatabaseSettings } from "./config.ts";
import type { DatabaseFile } from "./database-file.ts";
import { NativeConnection } from "./native-connection.ts";
import { clientClosed, isBusy } from "./sqlite-errors.ts";
import type { TransactionLease } from "./transaction.ts";

/** Idle connections that are kept for the next reading transaction. */
const maxIdle = 3;

/**
 * The connections that read a database file. They cannot write, and never wait for a writer.
 *
 * One serves every read that is over when it returns. A reading transaction has one of its own, for as long
 * as it is open.
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
   * What `work` gives. Nearly always at once: it is tried again for as long as it meets a lock, which happens
   * while the log of a crashed process is recovered.
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

  /** A connection inside a transaction that sees one snapshot, from its first statement on. */
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
      release: () => {
        this.#leased.delete(connection);
        connection.restore();
        if (this.#idle.length < maxIdle && !this.#closed && connection.isOpen) {
          this.#idle.push(connection);
        } else {
          connection.close();
        }
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
