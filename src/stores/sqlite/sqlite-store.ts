import { parseArgument } from "../../arguments.ts";
import { driverOf, type Driver } from "../../drivers/driver.ts";
import type { AppDatabase, AppTransaction } from "../../drizzle-types.ts";
import type { RunQuery } from "../../migrations/structure.ts";
import { createRowCodecs, rowCodecs } from "../../schema/row-codecs.ts";
import { schema } from "../../schema/schema.ts";
import type { JsonOfTables, WorkflowTables } from "../../schema/tables.ts";
import { systemClock } from "../../store/clock.ts";
import { hasHostTransactions, type HostTransactions } from "../../store/transactions.ts";
import { connect } from "./connections/connect.ts";
import { createBuilders, type StatementBuilders } from "./host/builders.ts";
import { cacheInvalidation, withCache } from "./host/cache-invalidation.ts";
import {
  askClient,
  askConnection,
  assertHostDatabase,
  checkDatabase,
  clientOf,
  primaryOf,
} from "./host/checks.ts";
import { createHostTransactions, type StoreHost } from "./host/host-transactions.ts";
import { StoreGate } from "./host/store-gate.ts";
import { SQLiteOperations } from "./operations/sqlite-operations.ts";
import { createStatements } from "./statements/all.ts";
import type { Database } from "./statements/statement.ts";
import { storeOptionsSchema, type StoreOptions } from "./store-options.ts";

/** What a store in an app's database needs to know of it. */
export interface StoreParts extends Omit<StoreHost, "store"> {
  readonly driver: Driver;
}

/** The parts of a store of this class. */
export let partsOf: (store: object) => StoreParts;

/** Clients with a copy, whose file differs from the file of the server. */
export const replicas = new WeakSet<object>();

/** The class of `SQLiteStore`. Its type depends on the database. */
export class SQLiteDatabaseStore<
  Db extends AppDatabase = AppDatabase,
  Tables extends WorkflowTables = WorkflowTables,
> extends SQLiteOperations<JsonOfTables<Tables>> {
  /** The Drizzle database of the store. */
  readonly db: Db;
  /** The tables of the store, for reports and for queries of the app. */
  readonly tables: Tables;
  /**
   * The writes of the store as Drizzle builders. On libSQL and D1, they are for an app's own `db.batch([…])`. On a synchronous
   * driver, call `run()` of each in the app's own `db.transaction`.
   */
  readonly statements: StatementBuilders;
  readonly #parts: StoreParts;

  static {
    partsOf = (store) => (store as SQLiteDatabaseStore).#parts;
  }

  constructor(db: Db, options: StoreOptions<Tables> = {}) {
    const { tables = schema, clock = systemClock } = parseArgument(
      storeOptionsSchema,
      options,
      "options",
    );
    // Statements only build queries with the database, which is the same for all drivers.
    const primary = primaryOf(db) as unknown as Database & { readonly $client: object };
    assertHostDatabase(primary);
    const driver = driverOf(primary);
    const codecs = tables === schema ? rowCodecs : createRowCodecs(tables);
    const forget = cacheInvalidation(primary, tables);
    const connection = connect(driver);
    const context = {
      connection: withCache(connection, forget),
      clock,
      tables,
      codecs,
      statements: createStatements(primary, tables, codecs),
    };
    const isLibSQL = driver.kind === "libsql";
    const ask: RunQuery = isLibSQL ? askClient(driver.client) : askConnection(connection);
    const isLocal = isLibSQL
      ? driver.client.protocol === "file"
      : driver.kind === "sync" && driver.database.isOnCloudflare !== true;
    const gate = new StoreGate((query = ask) =>
      checkDatabase(query, { tables, isLocal, hasOwnPragmas: driver.kind === "sync" }),
    );
    super(context, gate);
    this.db = db;
    // The same tables, which were checked.
    this.tables = tables as Tables;
    this.statements = createBuilders(context, primary);
    const owns = (transaction: Database) => {
      const client = clientOf(transaction);
      return client === undefined || client === primary.$client || replicas.has(primary.$client);
    };
    this.#parts = { db: primary, context, gate, forget, ask, owns, driver };
    if (isLibSQL && !hasHostTransactions(this)) {
      Object.assign(this, createHostTransactions({ store: this, ...this.#parts }));
    }
  }

  /** Refuses later calls. The app's own database stays open. */
  override async close(): Promise<void> {
    this.#parts.gate.close();
  }
}

/**
 * A `WorkflowStore` in an app's Drizzle database on SQLite: libsql, better-sqlite3, node-sqlite, bun-sqlite, d1 or
 * durable-sqlite. The database is never migrated or closed. On D1, which has no interactive transactions, `transaction`
 * rejects with `UnsupportedError`.
 */
export type SQLiteStore<
  Db extends AppDatabase = AppDatabase,
  Tables extends WorkflowTables = WorkflowTables,
> = SQLiteDatabaseStore<Db, Tables> & HostTransactionsOf<Db>;

/** Transactions of an app can be shared if they are asynchronous. */
type HostTransactionsOf<Db> = Db extends Database ? HostTransactions<AppTransaction> : unknown;

interface SQLiteStoreConstructor {
  /**
   * Creates a store in an app's database. Of `withReplicas`, it uses the primary. The tables, the text encoding and
   * foreign keys are checked before the first operation.
   *
   * @throws {UnsupportedError} if `db` belongs to another version of drizzle-orm, or its driver is too old.
   * @throws {InvalidArgumentError} that lists the drivers, if `db` is on another one.
   */
  new <Db extends AppDatabase, Tables extends WorkflowTables = WorkflowTables>(
    db: Db,
    options?: StoreOptions<Tables>,
  ): SQLiteStore<Db, Tables>;
}

export const SQLiteStore = SQLiteDatabaseStore as unknown as SQLiteStoreConstructor;
