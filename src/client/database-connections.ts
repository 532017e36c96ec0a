import { retryWhileBusy } from "./busy-wait.ts";
import type { LocalDatabaseSettings } from "./config.ts";
import { DatabaseFile } from "./database-file.ts";
import { NativeConnection } from "./native-connection.ts";
import { Readers } from "./readers.ts";
import { hasNoSharedMemory, isBusy, isReadOnly, noWriteAheadLog } from "./sqlite-errors.ts";
import { WriteQueue } from "./write-queue.ts";

/** The connections of a client: one that writes, with its queue, and those that read. */
export class DatabaseConnections {
  readonly queue: WriteQueue;
  readonly #settings: LocalDatabaseSettings;
  readonly #file: DatabaseFile;
  readonly #writer: NativeConnection;
  #readers: Readers | null = null;
  #isOpen = true;
  #opening: Promise<void> | null = null;

  constructor(settings: LocalDatabaseSettings) {
    this.#settings = settings;
    this.#file = new DatabaseFile(settings.path);
    this.#writer = new NativeConnection(settings, this.#file, "writes");
    try {
      this.#setJournalMode();
    } catch (error) {
      if (!isBusy(error)) {
        this.#writer.close();
        throw error;
      }
      this.#isOpen = false;
    }
    if (!settings.inMemory) this.#file.remember();
    this.queue = new WriteQueue(this.#writer, this.#file, settings.busyTimeoutMs);
  }

  /** Resolves once the journal mode is set, which may wait for the lock of another process. Null if it is set. */
  get opening(): Promise<void> | null {
    if (this.#isOpen) return null;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  /** Runs synchronous work that does not write. */
  read<T>(work: (connection: NativeConnection) => T): T | Promise<T> {
    if (!this.#settings.inMemory) return this.readers().use(work);
    // A database in memory has one connection. Its open transaction must not be visible outside.
    return this.queue.isLeased ? this.queue.solitary(work) : work(this.#writer);
  }

  /** Like `read`, but after all earlier calls of this client, and with its temporary tables. */
  readInOrder<T>(work: (connection: NativeConnection) => T): T | Promise<T> {
    if (this.#writer.isBound) return this.queue.solitary(work);
    if (!this.queue.isBehind) return this.read(work);
    return this.queue.commit({
      statements: 0,
      bytes: 0,
      run: work,
      ...(!this.#settings.inMemory && { readElsewhere: () => this.read(work) }),
    });
  }

  /** Resolves after all earlier writes of this client; null if there are none. */
  afterWrites(): Promise<void> | null {
    if (!this.queue.isBehind) return null;
    return this.queue.commit({ statements: 0, bytes: 0, run: nothing, readElsewhere: nothing });
  }

  /** Opened on first use: a process that only writes has no readers. */
  readonly readers = (): Readers => {
    this.#readers ??= new Readers(this.#settings, this.#file);
    return this.#readers;
  };

  close(): void {
    this.queue.close();
    this.#readers?.close();
    if (!this.#writer.isOpen) return;
    try {
      // Moves all commits into the file. If another process still reads, the log stays, which is also safe.
      if (!this.#writer.inTransaction && !this.#settings.readOnly)
        this.#writer.exec("pragma wal_checkpoint(truncate)");
    } catch {
      // The log holds all commits. The next process that opens the file reads it.
    }
    this.#writer.close();
  }

  async #open(): Promise<void> {
    await retryWhileBusy(() => this.#setJournalMode(), this.#settings.busyTimeoutMs);
    this.#isOpen = true;
  }

  #setJournalMode(): void {
    const { inMemory, readOnly, journalMode } = this.#settings;
    if (inMemory || readOnly) return;
    try {
      // No table was ever created. Another process that opens the file now may have written its first page.
      const isNew = this.#writer.pragma("schema_version") === 0;
      // Without it, free pages cannot be returned to the file system. It must be set before the first page is written.
      if (isNew) this.#writer.exec("pragma auto_vacuum = incremental");
      const wanted = journalMode ?? (isNew ? "wal" : null);
      if (wanted === null || this.#writer.pragma("journal_mode") === wanted) return;
      if (this.#writer.pragma(`journal_mode = ${wanted}`) !== wanted) throw noWriteAheadLog();
    } catch (error) {
      if (hasNoSharedMemory(error)) throw noWriteAheadLog(error);
      // A file without write permission can still be read.
      if (!isReadOnly(error)) throw error;
    }
  }
}

const nothing = () => undefined;
