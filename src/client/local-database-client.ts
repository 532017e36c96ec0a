import {
  LibsqlError,
  type InArgs,
  type InStatement,
  type Replicated,
  type ResultSet,
  type TransactionMode,
} from "@libsql/client/sqlite3";
import { dueTurn } from "../async/pause.ts";
import { LruMap } from "../lru-map.ts";
import { retryWhileBusy } from "./busy-wait.ts";
import type { LocalDatabaseSettings } from "./config.ts";
import { DatabaseConnections } from "./database-connections.ts";
import type { LocalClient, LocalTransaction, Statement, StatementResult } from "./local-client.ts";
import type { NativeConnection } from "./native-connection.ts";
import { clientClosed, isBusy, transactionClosed } from "./sqlite-errors.ts";
import { kindOf, type StatementKind } from "./statement-kinds.ts";
import { statementsOf } from "../sql-tokens.ts";
import type { WriterLease } from "./write-queue.ts";
import {
  bytesOf,
  takeBatch,
  takeStatement,
  type AnyStatement,
  type ClientStatement,
} from "./statements.ts";
import { eachInOrder, OpenTransaction } from "./transaction.ts";

/** The number of statements whose kind is cached. */
const maxKnownKinds = 500;

const noResult: StatementResult = { rows: [], changes: 0 };

/** Decides where each statement runs: on a reader, in a shared commit, or alone on the writer. */
export class LocalDatabaseClient implements LocalClient {
  readonly protocol = "file";
  readonly #settings: LocalDatabaseSettings;
  /** The kinds of recently used statements. */
  readonly #kinds = new LruMap<string, StatementKind>(maxKnownKinds);
  #connections: DatabaseConnections;
  #closed = false;

  constructor(settings: LocalDatabaseSettings) {
    this.#settings = settings;
    this.#connections = new DatabaseConnections(settings);
  }

  get closed(): boolean {
    return this.#closed;
  }

  async read(statements: readonly Statement[]): Promise<StatementResult[]> {
    const [only] = statements;
    return this.#read((connection) =>
      only !== undefined && statements.length === 1
        ? [connection.run(only)]
        : inSnapshot(connection, () => eachInOrder(statements, (each) => connection.run(each))),
    );
  }

  async write(
    statements: readonly Statement[],
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<StatementResult[]> {
    const run = (connection: NativeConnection) => {
      signal?.throwIfAborted();
      let written = noResult;
      return eachInOrder(statements, (statement) => {
        if (statement.unlessChanged !== true) return (written = connection.run(statement));
        return written.changes > 0 ? noResult : connection.run(statement);
      });
    };
    // A query after a write needs no savepoint. If it fails, the queue undoes the write.
    let writes = 0;
    for (const { single, unlessChanged } of statements) {
      if (single !== true && unlessChanged !== true) writes += 1;
    }
    return this.#commit(statements, run, Math.max(1, writes));
  }

  async begin(): Promise<LocalTransaction> {
    return new OpenTransaction(await this.#lease(), this.#settings);
  }

  async execute(statement: InStatement | string, args?: InArgs): Promise<ResultSet> {
    if (this.#closed) throw clientClosed();
    const { intMode } = this.#settings;
    // An invalid value must not undo writes that share its commit.
    const given = takeStatement(statement, intMode, args);
    const run = (connection: NativeConnection) => connection.execute(given, intMode);
    switch (this.#kindOf(given)) {
      case "read":
        return this.#readInOrder(run);
      case "write":
        return this.#commit([given], run);
      default:
        return this.#solitary(run);
    }
  }

  async batch(
    statements: (InStatement | [string, InArgs?])[],
    mode: TransactionMode = "deferred",
  ): Promise<ResultSet[]> {
    const given = this.#takeBatch(statements);
    const run = (connection: NativeConnection) => this.#executeEach(connection, given);
    const read = (connection: NativeConnection) => inSnapshot(connection, () => run(connection));
    const kinds = new Set(given.map((statement) => this.#kindOf(statement)));
    const isAlone = kinds.has("control") || kinds.has("solitary");
    if (mode === "read" && (isAlone || kinds.has("state"))) {
      return this.#solitary((connection) => connection.readOnly(() => read(connection)));
    }
    if (isAlone) {
      // A transaction that locks an attached database cannot detach it.
      const begin = mode === "write" ? "begin immediate" : "begin";
      return this.#solitary((connection) =>
        inTransaction(connection, begin, () => run(connection)),
      );
    }
    if (mode === "read" || (!kinds.has("write") && !kinds.has("state"))) {
      return this.#readInOrder((connection) => connection.readOnly(() => read(connection)));
    }
    return this.#commit(given, run);
  }

  async migrate(statements: InStatement[]): Promise<ResultSet[]> {
    const given = this.#takeBatch(statements);
    return this.#solitary((connection) => {
      // Dropping a rebuilt table would delete its child rows. The pragma has no effect inside a transaction.
      connection.exec("pragma foreign_keys = off");
      try {
        return inTransaction(connection, "begin immediate", () =>
          this.#executeEach(connection, given),
        );
      } finally {
        connection.exec("pragma foreign_keys = on");
      }
    });
  }

  async transaction(mode: TransactionMode = "write"): Promise<LocalTransaction> {
    if (mode !== "read") return this.begin();
    if (this.#settings.inMemory) {
      const lease = await this.#lease();
      lease.connection.refuseWrites();
      return new OpenTransaction(lease, this.#settings);
    }
    const connections = await this.#ready();
    await connections.afterWrites();
    const { readers } = connections;
    const lease = await retryWhileBusy(() => readers().begin(), this.#settings.busyTimeoutMs);
    return new OpenTransaction(lease, this.#settings);
  }

  async executeMultiple(sql: string): Promise<void> {
    const statements = statementsOf(sql);
    let position = 0;
    let transactionStart = 0;
    await this.#solitary((connection) => {
      for (; position < statements.length; position++) {
        if (!connection.inTransaction) transactionStart = position;
        try {
          connection.runScript(statements[position] ?? "");
        } catch (error) {
          if (isBusy(error)) {
            // The statement had no effect. It is retried with its transaction, whose snapshot may be too old.
            position = transactionStart;
            if (connection.inTransaction) connection.exec("rollback");
          }
          throw error;
        }
      }
    });
  }

  async sync(): Promise<Replicated> {
    throw new LibsqlError("This database is not an embedded replica", "SYNC_NOT_SUPPORTED");
  }

  async reconnect(): Promise<void> {
    this.#connections.close();
    this.#connections = new DatabaseConnections(this.#settings);
    this.#closed = false;
  }

  close(): void {
    this.#closed = true;
    this.#connections.close();
  }

  /**
   * The connections, immediately in nearly all cases.
   *
   * @throws {LibsqlError} `CLIENT_CLOSED` if the client is closed.
   */
  #ready(): DatabaseConnections | Promise<DatabaseConnections> {
    if (this.#closed) throw clientClosed();
    const { opening } = this.#connections;
    const turn = dueTurn();
    return opening === null && turn === null ? this.#connections : this.#readyAfter(opening, turn);
  }

  async #readyAfter(...waits: (Promise<void> | null)[]): Promise<DatabaseConnections> {
    for (const wait of waits) if (wait !== null) await wait;
    if (this.#closed) throw clientClosed();
    return this.#connections;
  }

  /** Synchronous if possible: each `await` costs a tenth of the time of a read. */
  #read<T>(work: (connection: NativeConnection) => T): T | Promise<T> {
    const connections = this.#ready();
    return connections instanceof Promise
      ? connections.then((ready) => ready.read(work))
      : connections.read(work);
  }

  /** Runs after earlier calls: a read sees the writes of this client that were issued before it. */
  #readInOrder<T>(work: (connection: NativeConnection) => T): T | Promise<T> {
    const connections = this.#ready();
    return connections instanceof Promise
      ? connections.then((ready) => ready.readInOrder(work))
      : connections.readInOrder(work);
  }

  /** Enters the queue before it returns, so that writes keep the order of their calls. */
  #commit<T>(
    statements: readonly Pick<ClientStatement, "args">[],
    run: (connection: NativeConnection) => T,
    count = statements.length,
  ): Promise<T> {
    const group = { statements: count, bytes: bytesOf(statements), run };
    const connections = this.#ready();
    return connections instanceof Promise
      ? connections.then(({ queue }) => queue.commit(group))
      : connections.queue.commit(group);
  }

  /** Enters the queue before it returns, like `#commit`. */
  #lease(): Promise<WriterLease> {
    const connections = this.#ready();
    return connections instanceof Promise
      ? connections.then(({ queue }) => queue.lease())
      : connections.queue.lease();
  }

  #solitary<T>(run: (connection: NativeConnection) => T): Promise<T> {
    const connections = this.#ready();
    return connections instanceof Promise
      ? connections.then(({ queue }) => queue.solitary(run))
      : connections.queue.solitary(run);
  }

  #kindOf({ sql }: ClientStatement): StatementKind {
    return this.#kinds.getOrMake(sql, () => kindOf(sql));
  }

  #takeBatch(statements: readonly AnyStatement[]): ClientStatement[] {
    if (this.#closed) throw clientClosed();
    return takeBatch(statements, this.#settings.intMode);
  }

  #executeEach(connection: NativeConnection, statements: readonly ClientStatement[]): ResultSet[] {
    let index = 0;
    return eachInOrder(statements, (statement) => {
      if (!connection.inTransaction) throw transactionClosed(index);
      index += 1;
      return connection.execute(statement, this.#settings.intMode);
    });
  }
}

function inSnapshot<T>(connection: NativeConnection, work: () => T): T {
  if (connection.inTransaction) return work();
  connection.exec("begin");
  try {
    return work();
  } finally {
    if (connection.inTransaction) connection.exec("rollback");
  }
}

function inTransaction<T>(
  connection: NativeConnection,
  begin: "begin" | "begin immediate",
  work: () => T,
): T {
  connection.exec(begin);
  try {
    const result = work();
    connection.exec("commit");
    return result;
  } finally {
    if (connection.inTransaction) connection.exec("rollback");
  }
}
