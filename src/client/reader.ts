import type { Buffer } from "node:buffer";
import { availableParallelism } from "node:os";
import { pathToFileURL } from "node:url";
import {
  LibsqlError,
  type Client,
  type InArgs,
  type InStatement,
  type IntMode,
  type ResultSet,
  type Row,
  type Transaction,
  type TransactionMode,
} from "@libsql/client/sqlite3";
import AsyncDatabase from "libsql/promise";
import * as z from "zod/mini";
import { parseArgument } from "../arguments.ts";
import { Stopper, untilAborted, untilEnded, type StopSignal } from "../async/abort.ts";
import { Mutex } from "../async/mutex.ts";
import { dueTurn, maxTimerMs } from "../async/pause.ts";
import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { bind } from "./bound-values.ts";
import { retryWhileBusy } from "./busy-wait.ts";
import { parseConfig, type LocalDatabaseSettings } from "./config.ts";
import { DatabaseFile } from "./database-file.ts";
import { exactCellsOf, exactQuery } from "./packed-rows.ts";
import { readIntegerAs, resultOfRows, rowOf, type NativeCell } from "./result-set.ts";
import { parametersOf, statementsOf } from "../sql-tokens.ts";
import {
  clientClosed,
  isBusy,
  toBatchError,
  toLibsqlError,
  toOpeningError,
  transactionClosed,
} from "./sqlite-errors.ts";
import { keywordOf } from "./statement-kinds.ts";
import { takeBatch, takeStatement, type ClientStatement } from "./statements.ts";

/** When a reader interrupts its statements. */
export interface ReaderLimits {
  /** Interrupts running statements when it aborts. They reject with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Interrupts each statement after this many milliseconds. Defaults to no limit. */
  readonly timeoutMs?: number | undefined;
}

/** The file that a reader reads, and its limits. */
export type ReaderConfig = ReaderLimits & {
  readonly encryptionKey?: string | undefined;
  /** How result sets give integers. Defaults to `number`, which throws if one would lose precision. */
  readonly intMode?: IntMode | undefined;
  /** How long a reader waits for the lock of another connection, in milliseconds. Defaults to 5000. */
  readonly busyTimeoutMs?: number | undefined;
} & (
    | { readonly url: string; readonly path?: undefined }
    | { readonly path: string; readonly url?: undefined }
  );

/** A `Client` that only reads. */
export interface Reader extends Client {
  /** This reader with other limits. Both share their connections, and closing one closes the other. */
  with(limits: ReaderLimits): Reader;
}

const limitsShape = {
  signal: z.optional(z.instanceof(AbortSignal)),
  timeoutMs: z.optional(z.int().check(z.minimum(1), z.maximum(maxTimerMs))),
};

/**
 * A client that reads a database file on threads of the binding: the event loop continues while a query runs.
 *
 * Abort signals and timeouts interrupt the query itself. Each statement, batch and transaction sees one snapshot, and
 * never waits for a writer if the file has a write-ahead log. Statements other than queries are rejected with
 * `SQLITE_READONLY`. At most one query less than there are processors runs at a time; further queries wait.
 *
 * @throws {InvalidArgumentError} that names the field.
 * @throws {UnsupportedError} for `:memory:`, which no second connection can see.
 */
export function createReader(config: string | ReaderConfig): Reader {
  const { signal, timeoutMs, ...place } = typeof config === "string" ? { url: config } : config;
  const limits = parseArgument(z.strictObject(limitsShape), { signal, timeoutMs }, "config");
  const settings = parseConfig(place);
  if (settings.inMemory) {
    throw new UnsupportedError({
      feature: "createReader",
      reason:
        "a database in memory has one connection, which a reader on another thread cannot share",
    });
  }
  for (const name of Object.keys(place)) {
    if (name in readerOptions) continue;
    throw new InvalidArgumentError({
      argument: `config.${name}`,
      reason: "has no meaning for a reader",
    });
  }
  return new FileReader(new ReadConnections({ ...settings, readOnly: true }), limits);
}

const readerOptions = {
  url: true,
  path: true,
  encryptionKey: true,
  intMode: true,
  busyTimeoutMs: true,
};

/** The thread pool of the binding has one thread for each processor. One stays free for other work. */
const threads = new Mutex(Math.max(1, availableParallelism() - 1));

/** The interval at which a query is interrupted until it ends. An interruption before its first step has no effect. */
const interruptEveryMs = 5;

/** The parts of the binding's asynchronous interface that are used here. Its types do not describe them. */
interface NativeDatabase {
  prepare(sql: string): Promise<NativeStatement>;
  exec(sql: string): Promise<void>;
  interrupt(): void;
  close(): void;
}

interface NativeStatement {
  readonly reader: boolean;
  raw(isRaw: boolean): this;
  safeIntegers(isSafe: boolean): this;
  columns(): readonly { readonly name: string; readonly type: string | null }[];
  iterate(values: readonly unknown[]): Promise<Iterable<NativeCell[]>>;
}

/** The number of statements and results that a connection keeps before it is replaced. */
const maxKept = 300;

/** One connection. It runs one statement at a time: a second one would block the event loop. */
class ReadConnection {
  readonly #database: NativeDatabase;
  readonly #intMode: IntMode;
  /**
   * The last statements and results of the connection. The garbage collector would finalize them on the event loop, and
   * would block it until the running query ends.
   */
  readonly #kept: unknown[] = [];

  constructor({ path, encryptionKey, intMode }: LocalDatabaseSettings) {
    this.#intMode = intMode;
    try {
      this.#database = new AsyncDatabase(`${pathToFileURL(path).href}?mode=ro`, {
        ...(encryptionKey !== null && { encryptionKey }),
      });
    } catch (error) {
      throw toOpeningError(error);
    }
  }

  /** True if another connection should replace it, because it keeps too much. */
  get isWorn(): boolean {
    return this.#kept.length > maxKept;
  }

  async exec(sql: string): Promise<void> {
    try {
      await this.#database.exec(sql);
    } catch (error) {
      throw toLibsqlError(error);
    }
  }

  async execute(
    { sql: text, args, invalid }: ClientStatement,
    signal: StopSignal,
  ): Promise<ResultSet> {
    if (invalid !== undefined) throw invalid;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const interrupt = () => {
      this.#database.interrupt();
      timer = setTimeout(interrupt, interruptEveryMs);
    };
    signal.addEventListener("abort", interrupt);
    try {
      const [sql = text] = statementsOf(text);
      // Preparing a statement uses the schema that SQLite has cached. Running one reads the current schema.
      await this.#database.exec("select 1 from sqlite_schema limit 1");
      const asked = await this.#prepare(sql);
      if (!asked.reader) throw readOnlyError();
      const columns = asked.columns();
      const names = columns.map(({ name }) => name);
      const types = columns.map(({ type }) => type ?? "");
      const rows: Row[] = [];
      const read = readIntegerAs[this.#intMode];
      const isPacked =
        /^(?:select|with|values)$/.test(keywordOf(sql)) && (await this.#hasUtf8Text());
      const query = isPacked ? await this.#whole(sql, columns.length) : asked;
      query.raw(true).safeIntegers(true);
      const found = (await this.#read(query, bind(args, parametersOf(sql))))[Symbol.iterator]();
      for (let next = found.next(); next.done !== true; next = found.next()) {
        try {
          const own = isPacked ? exactCellsOf(next.value[0] as Buffer, read) : next.value;
          rows.push(rowOf({ names, types }, own, this.#intMode));
          const turn = dueTurn();
          if (turn !== null) await turn;
          signal.throwIfAborted();
        } catch (error) {
          this.#end(found);
          throw error;
        }
      }
      signal.throwIfAborted();
      return resultOfRows({ names, types }, rows);
    } catch (error) {
      throw signal.aborted ? signal.reason : toLibsqlError(error);
    } finally {
      signal.removeEventListener("abort", interrupt);
      clearTimeout(timer);
    }
  }

  /**
   * The query in a form that computes all rows in its first step, each packed in a blob. The binding runs only this
   * step on another thread, and ends the process if a row has text that is not UTF-8.
   */
  #whole(sql: string, width: number): Promise<NativeStatement> {
    const rows = exactQuery(sql, width);
    return this.#prepare(
      `with gorkflow_rows(c) as materialized (${rows}) select c from gorkflow_rows`,
    );
  }

  /** Packed rows are bytes in the encoding of the database. The binding converts the others to UTF-8. */
  async #hasUtf8Text(): Promise<boolean> {
    const pragma = (await this.#prepare("pragma encoding")).raw(true);
    const [[encoding]] = [...(await this.#read(pragma, []))] as [[string]];
    return encoding === "UTF-8";
  }

  async #prepare(sql: string): Promise<NativeStatement> {
    return this.#keep(await this.#database.prepare(sql));
  }

  async #read(
    statement: NativeStatement,
    values: readonly unknown[],
  ): Promise<Iterable<NativeCell[]>> {
    return this.#keep(await statement.iterate(values));
  }

  #keep<T>(object: T): T {
    // Another connection cannot replace that of a transaction, which must not grow without limit.
    if (this.#kept.length > 2 * maxKept) this.#kept.splice(0, maxKept);
    this.#kept.push(object);
    return object;
  }

  /** Ends a statement whose rows were not all read. It would keep its snapshot, also after the connection is closed. */
  #end(rows: Iterator<unknown>): void {
    this.#database.interrupt();
    try {
      // The binding has read some rows ahead. The next step fails, which ends the statement.
      while (rows.next().done !== true);
    } catch {
      // It is interrupted.
    }
  }

  /** Rolls an open transaction back first, because its snapshot would be kept until garbage collection. */
  async close(): Promise<void> {
    await this.exec("rollback").catch(() => undefined);
    this.#database.close();
  }
}

/** The connections of a reader: one for each running query, and an idle one for the next query. */
class ReadConnections {
  readonly settings: LocalDatabaseSettings;
  readonly #file: DatabaseFile;
  readonly #running = new Set<Stopper>();
  readonly transactions = new Set<ReaderTransaction>();
  #idle: ReadConnection[] = [];
  #closed = false;

  constructor(settings: LocalDatabaseSettings) {
    this.settings = settings;
    this.#file = new DatabaseFile(settings.path);
    // Fails immediately if the file cannot be opened.
    this.#idle.push(new ReadConnection(settings));
    this.#file.remember();
  }

  get closed(): boolean {
    return this.#closed;
  }

  take(): ReadConnection {
    if (this.#closed) throw clientClosed();
    this.#file.check();
    return this.#idle.pop() ?? new ReadConnection(this.settings);
  }

  giveBack(connection: ReadConnection): void {
    if (this.#closed || this.#idle.length > 0 || connection.isWorn) void connection.close();
    else this.#idle.push(connection);
  }

  /** Runs `work` on a thread of the binding until it ends, a limit is reached, or the reader is closed. */
  async run<T>(
    { signal, timeoutMs }: ReaderLimits,
    work: (stopper: StopSignal) => Promise<T>,
  ): Promise<T> {
    if (this.#closed) throw clientClosed();
    const stopper = new Stopper();
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => stopper.abort(timeoutError(timeoutMs)), timeoutMs);
    this.#running.add(stopper);
    const limited = () =>
      untilAborted(
        stopper,
        threads.run(() => {
          stopper.throwIfAborted();
          return work(stopper);
        }),
      );
    try {
      if (signal === undefined) return await limited();
      return await untilEnded(signal, (own) => {
        own.addEventListener("abort", () => stopper.abort(own.reason));
        return limited();
      });
    } finally {
      clearTimeout(timer);
      this.#running.delete(stopper);
    }
  }

  close(): void {
    this.#closed = true;
    for (const stopper of this.#running) stopper.abort(clientClosed());
    for (const connection of this.#idle.splice(0)) void connection.close();
    for (const transaction of this.transactions) transaction.close();
  }

  reopen(): void {
    this.close();
    this.#closed = false;
    this.#file.remember();
  }
}

class FileReader implements Reader {
  readonly protocol = "file";
  readonly #connections: ReadConnections;
  readonly #limits: ReaderLimits;

  constructor(connections: ReadConnections, limits: ReaderLimits) {
    this.#connections = connections;
    this.#limits = limits;
  }

  get closed(): boolean {
    return this.#connections.closed;
  }

  with(limits: ReaderLimits): Reader {
    const parsed = parseArgument(z.strictObject(limitsShape), limits, "limits");
    return new FileReader(this.#connections, { ...this.#limits, ...parsed });
  }

  async execute(statement: InStatement | string, args?: InArgs): Promise<ResultSet> {
    const { intMode } = this.#connections.settings;
    const given = takeStatement(statement, intMode, args);
    return this.#onConnection((connection, stopper) => connection.execute(given, stopper));
  }

  async batch(statements: (InStatement | [string, InArgs?])[]): Promise<ResultSet[]> {
    const given = takeBatch(statements, this.#connections.settings.intMode);
    return this.#onConnection(async (connection, stopper) => {
      await connection.exec("begin");
      try {
        return await executeEach(connection, given, stopper);
      } finally {
        await connection.exec("rollback");
      }
    });
  }

  async transaction(_mode?: TransactionMode): Promise<Transaction> {
    const connection = this.#connections.take();
    const transaction = new ReaderTransaction(this.#connections, connection, this.#limits);
    try {
      await connection.exec("begin");
    } catch (error) {
      transaction.close();
      throw error;
    }
    return transaction;
  }

  async migrate(): Promise<ResultSet[]> {
    throw readOnlyError();
  }

  async executeMultiple(): Promise<void> {
    throw readOnlyError();
  }

  async sync(): Promise<undefined> {
    throw new LibsqlError("This database is not an embedded replica", "SYNC_NOT_SUPPORTED");
  }

  reconnect(): void {
    this.#connections.reopen();
  }

  close(): void {
    this.#connections.close();
  }

  /** Runs `work` on a connection. If it meets a lock, it is run again on another one. */
  #onConnection<T>(
    work: (connection: ReadConnection, stopper: StopSignal) => Promise<T>,
  ): Promise<T> {
    const { busyTimeoutMs } = this.#connections.settings;
    return this.#connections.run(this.#limits, (stopper) =>
      retryWhileBusy(
        async () => {
          const connection = this.#connections.take();
          try {
            const result = await work(connection, stopper);
            this.#connections.giveBack(connection);
            return result;
          } catch (error) {
            void connection.close();
            throw error;
          }
        },
        busyTimeoutMs,
        stopper,
      ),
    );
  }
}

/** A transaction on one snapshot, which its first statement takes. */
class ReaderTransaction implements Transaction {
  readonly #connections: ReadConnections;
  readonly #limits: ReaderLimits;
  readonly #mutex = new Mutex();
  #connection: ReadConnection;
  #closed = false;

  constructor(connections: ReadConnections, connection: ReadConnection, limits: ReaderLimits) {
    this.#connections = connections;
    this.#connection = connection;
    this.#limits = limits;
    connections.transactions.add(this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  async execute(statement: InStatement | string, args?: InArgs): Promise<ResultSet> {
    const { intMode } = this.#connections.settings;
    const given = takeStatement(statement, intMode, args);
    return this.#run((connection, stopper) => connection.execute(given, stopper));
  }

  async batch(statements: InStatement[]): Promise<ResultSet[]> {
    const given = takeBatch(statements, this.#connections.settings.intMode);
    return this.#run((connection, stopper) => executeEach(connection, given, stopper));
  }

  async executeMultiple(): Promise<void> {
    throw readOnlyError();
  }

  async commit(): Promise<void> {
    await this.#mutex.run(() => {
      if (this.closed) throw transactionClosed();
      this.close();
    });
  }

  async rollback(): Promise<void> {
    await this.#mutex.run(() => this.close());
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connections.transactions.delete(this);
    // The running statement ends first.
    void this.#mutex.run(() => this.#connection.close());
  }

  #run<T>(work: (connection: ReadConnection, stopper: StopSignal) => Promise<T>): Promise<T> {
    const { busyTimeoutMs } = this.#connections.settings;
    return this.#mutex.run(() =>
      this.#connections.run(this.#limits, (stopper) =>
        retryWhileBusy(
          async () => {
            if (this.#closed) throw transactionClosed();
            try {
              return await work(this.#connection, stopper);
            } catch (error) {
              if (isBusy(error)) await this.#beginAgain();
              throw error;
            }
          },
          busyTimeoutMs,
          stopper,
        ),
      ),
    );
  }

  /** Replaces the connection. Only the first statement can meet a lock, so there is no snapshot yet. */
  async #beginAgain(): Promise<void> {
    void this.#connection.close();
    this.#connection = this.#connections.take();
    await this.#connection.exec("begin");
  }
}

async function executeEach(
  connection: ReadConnection,
  statements: readonly ClientStatement[],
  stopper: StopSignal,
): Promise<ResultSet[]> {
  const results: ResultSet[] = [];
  for (const [index, statement] of statements.entries()) {
    try {
      results.push(await connection.execute(statement, stopper));
    } catch (error) {
      throw toBatchError(error, index);
    }
  }
  return results;
}

function readOnlyError(): LibsqlError {
  return new LibsqlError("a reader cannot write", "SQLITE_READONLY", undefined, 8);
}

function timeoutError(timeoutMs: number): LibsqlError {
  return new LibsqlError(
    `the query was interrupted after ${timeoutMs} ms, its time limit`,
    "SQLITE_INTERRUPT",
    undefined,
    9,
  );
}
