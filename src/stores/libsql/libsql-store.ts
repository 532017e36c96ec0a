import type { Client } from "@libsql/client";
import { sql } from "drizzle-orm";
import { refuseInsideTransaction, withOpenTransaction } from "../../async/flow.ts";
import type { ReaderLimits } from "../../client/reader.ts";
import { isLocalClient } from "../../client/local-client.ts";
import { StoreClosedError, StoreConnectionError, UnsupportedError } from "../../errors.ts";
import { migrate } from "../../migrations/migrate.ts";
import type { RunQuery } from "../../migrations/structure.ts";
import { parseArgument } from "../../arguments.ts";
import type { AppTransaction, LibSQLDatabase } from "../../drizzle-types.ts";
import { isDrizzle1 } from "../../drizzle.ts";
import { parseOptions } from "../../model/options.ts";
import { createRowCodecs, rowCodecs } from "../../schema/row-codecs.ts";
import {
  createWorkflowRelationsPart,
  type WorkflowRelationsPart,
} from "../../schema/relations-part.ts";
import { schema } from "../../schema/schema.ts";
import type { JsonOfTables, WorkflowTables } from "../../schema/tables.ts";
import { systemClock, type Clock } from "../../store/clock.ts";
import type { HostTransactions } from "../../store/transactions.ts";
import type { OperationOptions } from "../../store/options.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { createBuilders, type StatementBuilders } from "../sqlite/host/builders.ts";
import {
  cacheInvalidation,
  withCache,
  type ForgetCached,
} from "../sqlite/host/cache-invalidation.ts";
import type { Connection } from "../sqlite/connections/connection.ts";
import { examine, isOverdueTransaction } from "../sqlite/errors/symptoms.ts";
import { translateError } from "../sqlite/errors/translate.ts";
import { ExclusiveConnection } from "../sqlite/connections/exclusive.ts";
import {
  askClient,
  askTransaction,
  assertHostDatabase,
  assertHostTransaction,
  assertSameDatabase,
  checkDatabase,
  checkEncoding,
  clientOf,
  primaryOf,
} from "../sqlite/host/checks.ts";
import { HostConnection, runHostTransaction } from "../sqlite/connections/host.ts";
import { LocalConnection } from "../sqlite/connections/local.ts";
import { openClient } from "./open-client.ts";
import {
  parseOpenOptions,
  storeOptionsSchema,
  type OpenOptions,
  type StoreOptions,
} from "./open-options.ts";
import { SQLiteOperations, type Gate } from "../sqlite/operations/sqlite-operations.ts";
import { RemoteConnection } from "../sqlite/connections/remote.ts";
import type { Database } from "../sqlite/statements/statement.ts";
import { createStatements } from "../sqlite/statements/all.ts";
import type { StoreContext } from "../sqlite/operations/context.ts";

/** A Drizzle database on a libSQL client. */
export type HostDatabase = Database & { readonly $client: Client };

/** The database of `LibSQLStore.open`, with the app's own schema (Drizzle 0.45) or relations (1.0). */
export type WorkflowDatabase<Own extends Record<string, unknown> = Record<string, never>> =
  LibSQLDatabase<With<Own, WorkflowRelationsPart>, With<Own, typeof schema>> & {
    readonly $client: Client;
  };

type With<Own extends Record<string, unknown>, Ours> = string extends keyof Own ? Ours : Ours & Own;

/**
 * A `WorkflowStore` on libSQL that uses typed Drizzle queries.
 *
 * `LibSQLStore.open(url)` opens, migrates and closes its own database. `new LibSQLStore(db)` uses an app's Drizzle database,
 * which it never migrates or closes.
 */
export class LibSQLStore<
  Db extends HostDatabase = WorkflowDatabase,
  Tables extends WorkflowTables = WorkflowTables,
>
  extends SQLiteOperations<JsonOfTables<Tables>>
  implements HostTransactions<AppTransaction>
{
  /** The Drizzle database of the store. */
  readonly db: Db;
  /** The writes of the store as Drizzle builders, for an app's own `db.batch([…])`. */
  readonly statements: StatementBuilders;
  readonly #shared: StoreContext;
  readonly #gate: StoreGate;
  readonly #forget: ForgetCached | null;
  #openReporting: ((limits: ReaderLimits) => Db) | null = null;
  #reporting: Db | null = null;

  /**
   * Creates a store in an app's database. Of `withReplicas`, it uses the primary. The tables, the text encoding and the
   * client's integer mode are checked before the first operation.
   *
   * @throws {UnsupportedError} if `db` belongs to another version of drizzle-orm.
   * @throws {InvalidArgumentError} if `db` is not a Drizzle database on a libSQL client.
   */
  constructor(db: Db, options: StoreOptions<Tables> = {}) {
    const { tables, clock } = parseArgument(storeOptionsSchema, options, "options");
    const primary = primaryOf(db);
    const context = contextOf(primary, tables ?? schema, clock ?? systemClock);
    const forget = cacheInvalidation(primary, context.tables);
    const shared = { ...context, connection: withCache(context.connection, forget) };
    const isLocal = primary.$client.protocol === "file";
    const gate = new StoreGate((query = askClient(primary.$client)) =>
      checkDatabase(query, { tables: context.tables, isLocal }),
    );
    super(shared, gate);
    this.db = db;
    this.#shared = shared;
    this.#gate = gate;
    this.#forget = forget;
    this.statements = createBuilders(shared, primary);
  }

  /**
   * Opens the database, migrates it to the schema of this version, and returns its store.
   *
   * Creates the file if it does not exist, but not its folder. If an app's own drizzle-kit works on the same database, its
   * `tablesFilter` must exclude our tables, because `drizzle-kit push` drops tables that its schema does not have.
   *
   * @throws {InvalidArgumentError} if an option is invalid.
   * @throws {StoreConnectionError} if the database cannot be opened.
   * @throws {SchemaTooNewError} if a later version has migrated the database.
   * @throws {SchemaOutOfDateError} if the store does not migrate, and tables or columns are missing.
   */
  static async open<
    Schema extends Record<string, unknown> = Record<string, never>,
    Tables extends WorkflowTables = WorkflowTables,
  >(
    options: string | OpenOptions<Schema, Tables>,
  ): Promise<LibSQLStore<WorkflowDatabase<Schema>, Tables>> {
    const parsed = parseOpenOptions(options);
    const opened = await openClient(parsed);
    const { client, drizzle, connection, reporting, isOffline = false } = opened;
    if (connection !== undefined) connections.set(client, connection);
    if (parsed.readUrl !== undefined || parsed.syncUrl !== undefined) replicas.add(client);
    try {
      const { schema: own, relations, ...config } = parsed.drizzle ?? {};
      const known: object = isDrizzle1
        ? { relations: Object.assign({}, createWorkflowRelationsPart(schema), relations) }
        : { schema: { ...schema, ...own } };
      const databaseOn = (of: Client) =>
        drizzle({ ...config, ...known, client: of }) as unknown as WorkflowDatabase<Schema>;
      const db = databaseOn(client);
      // The same tables, which were checked.
      const tables = parsed.tables as Tables | undefined;
      const store = new LibSQLStore(db, { tables, clock: parsed.clock });
      store.#gate.owned = [reporting, client];
      store.#openReporting = (limits) => databaseOn(reporting.open(limits));
      const mayMigrate = parsed.migrate !== false && parsed.readOnly !== true && !isOffline;
      if (mayMigrate && parsed.tables === undefined) {
        if (client.protocol === "file") await checkEncoding(askClient(client));
        await migrate(db);
        store.#gate.skipCheck();
      } else {
        await store.#gate.check();
      }
      return store;
    } catch (error) {
      client.close();
      throw translateError(error, "read");
    }
  }

  /**
   * Updates the copy of an embedded replica with everything that its primary had at the time of the call.
   *
   * @throws {UnsupportedError} if the store is not an embedded replica.
   * @throws {StoreConnectionError} if the primary cannot be reached. The copy is unchanged.
   */
  async sync(): Promise<void> {
    this.#gate.checkOpen();
    refuseInsideTransaction(this);
    try {
      await this.db.$client.sync();
    } catch (error) {
      throw translateError(error, "read");
    }
  }

  /**
   * A read-only Drizzle database for long queries. On a file, its queries do not block the event loop (see
   * `createReader`). On a server, they run on the server.
   *
   * @throws {UnsupportedError} if the database is in memory, or is the app's own.
   */
  get reporting(): Db {
    return (this.#reporting ??= this.reportingWith({}));
  }

  /** Like `reporting`, with queries that a signal or a timeout interrupts. */
  reportingWith(limits: ReaderLimits): Db {
    this.#gate.checkOpen();
    if (this.#openReporting !== null) return this.#openReporting(limits);
    throw new UnsupportedError({
      feature: "reporting",
      reason: "the database is your own: make another one on createReader of gorkflow/client",
    });
  }

  /**
   * Returns a store whose operations are part of the app's own `db.transaction`.
   *
   * @throws {InvalidArgumentError} if the argument is not a transaction. If the transaction is known to be in another
   *   database, every operation rejects with this error.
   */
  withTransaction(transaction: AppTransaction): WorkflowStore {
    assertHostTransaction(transaction);
    return new SQLiteOperations(
      {
        ...this.#shared,
        connection: withCache(new HostConnection(transaction), this.#forget),
      },
      new HostGate(this.#gate, () => this.#checkTransaction(transaction)),
    );
  }

  /** The check before the first operation in an app's transaction; null if none is needed. */
  #checkTransaction(transaction: Database): Promise<void> | null {
    const client = clientOf(transaction);
    const { $client } = primaryOf(this.db);
    const isOwn = client === undefined || client === $client || replicas.has($client);
    // The check uses the transaction, because its client may have only one connection.
    if (isOwn) return this.#gate.isChecked ? null : this.#gate.check(askTransaction(transaction));
    return assertSameDatabase(askTransaction(transaction), askClient($client));
  }

  async hostTransaction<T>(
    work: (transaction: AppTransaction, tx: WorkflowStore) => Promise<T>,
    options?: OperationOptions,
  ): Promise<T> {
    const { signal } = parseOptions(options);
    this.#gate.checkOpen();
    signal?.throwIfAborted();
    refuseInsideTransaction(this);
    if (this.#gate.ready !== null) await this.#gate.ready;
    try {
      return await runHostTransaction(
        this.db,
        "write",
        async (transaction) => {
          // The call may have waited.
          this.#gate.checkOpen();
          signal?.throwIfAborted();
          const tx = this.withTransaction(transaction);
          const result = await withOpenTransaction(this, () => work(transaction, tx));
          signal?.throwIfAborted();
          return result;
        },
        causeOfRollback,
      );
    } finally {
      await this.#forget?.();
    }
  }

  /** Closes the client if the store opened it. An app's own client stays open. */
  override async close(): Promise<void> {
    this.#gate.close();
  }
}

/**
 * The error of a transaction: the error of its work, or a retryable one if the transaction was lost while the work ran. A lost
 * transaction rejects every statement. So does one that took too long, but a retry would not help it.
 */
async function causeOfRollback(transaction: Database, thrown: unknown): Promise<unknown> {
  if (isOverdueTransaction(thrown)) return thrown;
  try {
    await transaction.run(sql`select 1`);
    return thrown;
  } catch (error) {
    if (isOverdueTransaction(error)) return thrown;
    const reason = "the connection was lost in a transaction";
    return new StoreConnectionError(
      { reason, outcome: "none", retryable: true },
      { cause: examine(thrown).origin },
    );
  }
}

/** Lets operations start when the store is open and its database is checked. */
class StoreGate implements Gate {
  /** Closed with the store. */
  owned: readonly { close(): void }[] = [];
  #open = true;
  #checked = false;
  #checking: Promise<void> | null = null;
  readonly #makeCheck: (query?: RunQuery) => Promise<void>;

  constructor(makeCheck: (query?: RunQuery) => Promise<void>) {
    this.#makeCheck = makeCheck;
  }

  checkOpen(): void {
    if (!this.#open) throw new StoreClosedError();
  }

  get ready(): Promise<void> | null {
    return this.#checked ? null : this.check();
  }

  get isChecked(): boolean {
    return this.#checked;
  }

  /** Checks the database. The next operation repeats a failed check, because the app may have migrated in the meantime. */
  check(transaction?: RunQuery): Promise<void> {
    if (transaction !== undefined) {
      // Not shared, because the transaction may end, or may wait for this check.
      return this.#makeCheck(transaction).then(() => this.skipCheck());
    }
    this.#checking ??= this.#makeCheck().then(
      () => this.skipCheck(),
      (error: unknown) => {
        this.#checking = null;
        throw error;
      },
    );
    return this.#checking;
  }

  skipCheck(): void {
    this.#checked = true;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const each of this.owned) each.close();
  }
}

/** The gate of a store inside an app's transaction. */
class HostGate implements Gate {
  readonly #gate: StoreGate;
  readonly #check: () => Promise<void> | null;
  #ready: Promise<void> | null | undefined;

  constructor(gate: StoreGate, check: () => Promise<void> | null) {
    this.#gate = gate;
    this.#check = check;
  }

  checkOpen(): void {
    this.#gate.checkOpen();
  }

  get ready(): Promise<void> | null {
    if (this.#ready === undefined) {
      this.#ready = this.#check();
      this.#ready?.then(
        () => (this.#ready = null),
        () => undefined,
      );
    }
    return this.#ready;
  }
}

function contextOf(db: HostDatabase, tables: WorkflowTables, clock: Clock): StoreContext {
  assertHostDatabase(db);
  const codecs = tables === schema ? rowCodecs : createRowCodecs(tables);
  return {
    connection: connect(db.$client),
    clock,
    tables,
    codecs,
    statements: createStatements(db, tables, codecs),
  };
}

/** The connections of clients. Those of opened clients have more options than can be found from a client. */
const connections = new WeakMap<Client, Connection>();

/** Clients with a copy, whose file differs from the file of the server. */
const replicas = new WeakSet<Client>();

function connect(client: Client): Connection {
  const opened = connections.get(client);
  if (opened !== undefined) return opened;
  const connection = isLocalClient(client)
    ? new LocalConnection(client)
    : client.protocol === "file"
      ? new ExclusiveConnection(client)
      : new RemoteConnection(client);
  // Two stores on one client share its queue.
  connections.set(client, connection);
  return connection;
}
