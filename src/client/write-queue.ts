import { nextTurn, pause } from "../async/pause.ts";
import { busyBackoff, busyError } from "./busy-wait.ts";
import type { DatabaseFile } from "./database-file.ts";
import type { NativeConnection } from "./native-connection.ts";
import {
  clientClosed,
  isBusy,
  isOfLaterStatement,
  isSqliteError,
  isTriggerFailure,
} from "./sqlite-errors.ts";

/** Statements that take effect together or not at all. Several groups may share a commit. */
export interface Group<T> {
  /** The number of statements that may write; 0 for a read. SQLite undoes a single one that fails. */
  readonly statements: number;
  readonly bytes: number;
  readonly run: (connection: NativeConnection) => T;
  /** For a read that is queued only to keep its order. It runs the read while another process holds the lock. */
  readonly readElsewhere?: () => T | Promise<T>;
}

/** The connection that writes, until `release`. */
export interface WriterLease {
  readonly connection: NativeConnection;
  release(): void;
}

type Entry = GroupEntry | SolitaryEntry | LeaseEntry;

interface Waiting {
  readonly enqueuedAt: number;
  reject(error: unknown): void;
}

interface GroupEntry extends Waiting {
  readonly kind: "group";
  readonly group: Group<unknown>;
  /** True after a shared commit failed. It is committed alone next, which shows whether it is the cause. */
  alone: boolean;
  resolve(value: unknown): void;
}

/** Work that must run outside a transaction, or has its own. */
interface SolitaryEntry extends Waiting {
  readonly kind: "solitary";
  readonly run: (connection: NativeConnection) => unknown;
  resolve(value: unknown): void;
}

interface LeaseEntry extends Waiting {
  readonly kind: "lease";
  resolve(lease: WriterLease): void;
}

type ReadEntry = GroupEntry & { readonly group: Required<Group<unknown>> };

/** True for a read that is queued only to keep its order. */
function isRead(entry: Entry): entry is ReadEntry {
  return entry.kind === "group" && entry.group.readElsewhere !== undefined;
}

/**
 * True if the only statement that may write has perhaps left changes behind. RAISE(FAIL) keeps the earlier changes of its
 * statement. A statement has taken effect if its result could not be read, for example because of an integer beyond 2^53.
 * If a statement after it failed, a trigger that raised IGNORE may have written before.
 */
function mayKeepChanges(error: unknown): boolean {
  return isTriggerFailure(error) || !isSqliteError(error) || isOfLaterStatement(error);
}

/** The limits of one commit. A larger one would block the event loop for too long. */
const maxStatementsPerCommit = 1000;
const maxBytesPerCommit = 8 * 1024 * 1024;
const maxMsPerCommit = 10;

/**
 * The queue of all work for the connection that writes.
 *
 * Groups that wait are committed together, in order (group commit), because each commit waits for the disk. The event
 * loop runs between two commits. Waiting for the lock of another process does not block it, and groups that arrive
 * meanwhile join the commit.
 */
export class WriteQueue {
  readonly #connection: NativeConnection;
  readonly #file: DatabaseFile;
  readonly #busyTimeoutMs: number;
  #entries: Entry[] = [];
  #lease: { readonly since: number } | null = null;
  #stallTimer: NodeJS.Timeout | null = null;
  #pumping = false;
  #isBlocked = false;
  #closed = false;

  constructor(connection: NativeConnection, file: DatabaseFile, busyTimeoutMs: number) {
    this.#connection = connection;
    this.#file = file;
    this.#busyTimeoutMs = busyTimeoutMs;
  }

  /** True while a transaction owns the writer. */
  get isLeased(): boolean {
    return this.#lease !== null;
  }

  /** True while writes wait for their commit, but not for a transaction or another process. */
  get isBehind(): boolean {
    return this.#lease === null && !this.#isBlocked && this.#entries.length > 0;
  }

  /** Resolves after the group is committed. */
  commit<T>(group: Group<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#enqueue({
        kind: "group",
        group,
        alone: false,
        enqueuedAt: performance.now(),
        resolve,
        reject,
      });
    });
  }

  /** Runs `run` alone. It is called again if it meets a lock, so it must have no effect in that case. */
  solitary<T>(run: (connection: NativeConnection) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#enqueue({
        kind: "solitary",
        run,
        enqueuedAt: performance.now(),
        resolve,
        reject,
      });
    });
  }

  /** The connection, inside a transaction that holds the write lock. */
  lease(): Promise<WriterLease> {
    return new Promise((resolve, reject) => {
      this.#enqueue({ kind: "lease", enqueuedAt: performance.now(), resolve, reject });
    });
  }

  /** Rejects all waiting entries. */
  close(): void {
    this.#closed = true;
    this.#stopWatching();
    for (const entry of this.#entries.splice(0)) entry.reject(clientClosed());
  }

  #enqueue(entry: Entry): void {
    if (this.#closed) {
      entry.reject(clientClosed());
      return;
    }
    this.#entries.push(entry);
    if (this.#lease !== null) this.#watchForStall();
    else this.#schedule();
  }

  #schedule(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    void this.#pump();
  }

  async #pump(): Promise<void> {
    try {
      while (this.#lease === null) {
        await nextTurn();
        const [head] = this.#entries;
        if (head === undefined) return;
        try {
          if (head.kind === "solitary") await this.#runSolitary(head);
          else if ((await this.#begin()) && !this.#useTransaction()) await pause(1);
        } catch (error) {
          // An unexpected failure of the queue must not leave a caller waiting.
          if (this.#entries[0] === head) this.#entries.shift();
          head.reject(error);
          this.#connection.restore();
        }
      }
    } finally {
      this.#pumping = false;
      if (this.#entries.length > 0 && this.#lease === null) this.#schedule();
    }
  }

  /** Takes the write lock. False if no entry waits for it any more. */
  async #begin(): Promise<boolean> {
    const busySince = performance.now();
    const backoff = busyBackoff();
    while (this.#entries.length > 0) {
      try {
        this.#file.check();
        this.#connection.exec("begin immediate");
        this.#isBlocked = false;
        return true;
      } catch (error) {
        this.#isBlocked = isBusy(error);
        if (this.#isBlocked) {
          this.#readElsewhere(this.#entries.length);
          this.#rejectExpired(busySince, error);
          await pause(backoff.next());
        } else {
          this.#entries.shift()?.reject(error);
        }
      }
    }
    return false;
  }

  /** Runs the reads among the first entries on readers, because reads do not wait for locks. They see all committed writes. */
  #readElsewhere(count: number): void {
    const reads = this.#entries.slice(0, count).filter(isRead);
    if (reads.length === 0) return;
    this.#entries = this.#entries.filter((entry, index) => index >= count || !isRead(entry));
    for (const { group, resolve, reject } of reads) {
      void (async () => group.readElsewhere())().then(resolve, reject);
    }
  }

  /** Uses the open transaction for the first entry. False if its commit met a lock. */
  #useTransaction(): boolean {
    const [head] = this.#entries;
    if (head?.kind !== "lease") return this.#commitGroups();
    this.#entries.shift();
    const lease = { since: performance.now() };
    this.#lease = lease;
    // The transaction may wait for them.
    const next = this.#entries.findIndex((entry) => !isRead(entry));
    this.#readElsewhere(next === -1 ? this.#entries.length : next);
    this.#watchForStall();
    head.resolve({
      connection: this.#connection,
      release: () => {
        if (this.#lease !== lease) return;
        this.#lease = null;
        this.#stopWatching();
        this.#connection.restore();
        if (this.#entries.length > 0) this.#schedule();
      },
    });
    return true;
  }

  #commitGroups(): boolean {
    const done: { readonly entry: GroupEntry; readonly settle: () => void }[] = [];
    const startedAt = performance.now();
    let statements = 0;
    let bytes = 0;
    for (;;) {
      const entry = this.#entries[done.length];
      if (entry?.kind !== "group") break;
      if (done.length > 0) {
        statements += entry.group.statements;
        bytes += entry.group.bytes;
        if (entry.alone || statements > maxStatementsPerCommit || bytes > maxBytesPerCommit) break;
        if (performance.now() - startedAt > maxMsPerCommit) break;
      }
      try {
        const value = this.#runGroup(entry.group);
        done.push({ entry, settle: () => entry.resolve(value) });
      } catch (error) {
        // The cause may be a change of another group, which is committed first.
        done.push({ entry, settle: () => entry.reject(error) });
        const isUndone = !this.#connection.inTransaction;
        if (isUndone || (entry.group.statements === 1 && mayKeepChanges(error))) {
          if (!isUndone) this.#rollback();
          this.#entries.splice(0, done.length);
          // The failure undoes the groups before it too, but they did not cause it.
          this.#finishUncommitted(done, () => entry.reject(error));
          return true;
        }
      }
      if (entry.alone) break;
    }
    // At once, because each removal would move all entries behind it.
    this.#entries.splice(0, done.length);
    try {
      this.#connection.exec("commit");
    } catch (error) {
      this.#rollback();
      // A commit meets a lock only without a write-ahead log.
      if (isBusy(error)) {
        this.#tryAgainAlone(done.map(({ entry }) => entry));
        this.#rejectExpired(0, error);
        return false;
      }
      this.#finishUncommitted(done, (entry) => entry.reject(error));
      return true;
    }
    for (const { settle } of done) settle();
    return true;
  }

  /** Settles a group that was alone in a transaction which was rolled back. Several groups are each tried again. */
  #finishUncommitted(
    done: readonly { readonly entry: GroupEntry }[],
    settle: (entry: GroupEntry) => void,
  ): void {
    const [only, ...others] = done.map(({ entry }) => entry);
    if (only !== undefined && others.length === 0) settle(only);
    else this.#tryAgainAlone(done.map(({ entry }) => entry));
  }

  #runGroup({ statements, run }: Group<unknown>): unknown {
    if (statements < 2) return run(this.#connection);
    this.#connection.exec("savepoint gorkflow_group");
    try {
      const value = run(this.#connection);
      this.#connection.exec("release gorkflow_group");
      return value;
    } catch (error) {
      try {
        if (this.#connection.inTransaction) {
          this.#connection.exec("rollback to gorkflow_group; release gorkflow_group");
        }
      } catch {
        // A part of a group must not be committed.
        this.#rollback();
      }
      throw error;
    }
  }

  #tryAgainAlone(entries: readonly GroupEntry[]): void {
    for (const entry of entries) entry.alone = true;
    this.#entries.unshift(...entries);
  }

  async #runSolitary(entry: SolitaryEntry): Promise<void> {
    const busySince = performance.now();
    const backoff = busyBackoff();
    try {
      while (this.#entries[0] === entry) {
        try {
          this.#file.check();
          const value = entry.run(this.#connection);
          this.#isBlocked = false;
          this.#entries.shift();
          entry.resolve(value);
        } catch (error) {
          this.#isBlocked = isBusy(error);
          if (this.#isBlocked) {
            this.#rejectExpired(busySince, error);
            await pause(backoff.next());
          } else {
            this.#entries.shift();
            entry.reject(error);
          }
        }
      }
    } finally {
      // Not before each try, because a script continues with its own settings, such as `foreign_keys = off`.
      this.#connection.restore();
    }
  }

  #rollback(): void {
    this.#connection.restore();
  }

  /** Rejects entries that have waited longer than `busyTimeoutMs` for a lock that was held all the time. */
  #rejectExpired(busySince: number, cause: unknown): void {
    const now = performance.now();
    const isExpired = (entry: Entry) =>
      now - Math.max(entry.enqueuedAt, busySince) >= this.#busyTimeoutMs;
    const expired = this.#entries.filter(isExpired);
    if (expired.length === 0) return;
    this.#entries = this.#entries.filter((entry) => !isExpired(entry));
    // Later entries may find the lock free.
    if (this.#entries.length === 0) this.#isBlocked = false;
    for (const entry of expired) entry.reject(busyError(this.#busyTimeoutMs, cause));
  }

  /**
   * Rejects entries that have waited for `busyTimeoutMs` behind one transaction. It may have been left open, or wait for
   * one of them.
   */
  #watchForStall(): void {
    const lease = this.#lease;
    const [head] = this.#entries;
    if (lease === null || head === undefined || this.#stallTimer !== null) return;
    const deadline = Math.max(head.enqueuedAt, lease.since) + this.#busyTimeoutMs;
    this.#stallTimer = setTimeout(
      () => {
        this.#stallTimer = null;
        if (this.#lease === lease) this.#rejectExpired(lease.since, undefined);
        this.#watchForStall();
      },
      Math.max(1, deadline - performance.now()),
    );
  }

  #stopWatching(): void {
    if (this.#stallTimer !== null) clearTimeout(this.#stallTimer);
    this.#stallTimer = null;
  }
}
