import type { Client } from "@libsql/client";
import { refuseInsideTransaction } from "../../async/flow.ts";
import type { ReaderLimits } from "../../client/reader.ts";
import { InvalidArgumentError, UnsupportedError } from "../../errors.ts";
import { applyMigrations } from "../../migrations/migrate.ts";
import type { AppTransaction, LibSQLDatabase } from "../../drizzle-types.ts";
import { isDrizzle1 } from "../../drizzle.ts";
import { isLibSQLClient } from "../../drivers/driver.ts";
import {
  createWorkflowRelationsPart,
  type WorkflowRelationsPart,
} from "../../schema/relations-part.ts";
import { schema } from "../../schema/schema.ts";
import type { WorkflowTables } from "../../schema/tables.ts";
import type { HostTransactions } from "../../store/transactions.ts";
import type { OperationOptions } from "../../store/options.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { setConnection } from "../sqlite/connections/connect.ts";
import { translateError } from "../sqlite/errors/translate.ts";
import { askClient, checkEncoding, primaryOf } from "../sqlite/host/checks.ts";
import { createHostTransactions } from "../sqlite/host/host-transactions.ts";
import { partsOf, replicas, SQLiteDatabaseStore } from "../sqlite/sqlite-store.ts";
import type { Database } from "../sqlite/statements/statement.ts";
import type { StoreOptions } from "../sqlite/store-options.ts";
import { openClient } from "./open-client.ts";
import { parseOpenOptions, type OpenOptions } from "./open-options.ts";

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
  extends SQLiteDatabaseStore<Db, Tables>
  implements HostTransactions<AppTransaction>
{
  readonly #host: ReturnType<typeof createHostTransactions>;
  #openReporting: ((limits: ReaderLimits) => Db) | null = null;
  #reporting: Db | null = null;

  /**
   * Creates a store in an app's database. Of `withReplicas`, it uses the primary. The tables, the text encoding and the
   * client's integer mode are checked before the first operation.
   *
   * @throws {UnsupportedError} if `db` belongs to another version of drizzle-orm.
   * @throws {InvalidArgumentError} if `db` is not a Drizzle database on a libSQL client.
   */
  constructor(db: Db, options?: StoreOptions<Tables>) {
    if (!isLibSQLClient(primaryOf(db)?.$client)) {
      throw new InvalidArgumentError({
        argument: "db",
        reason: "must be a Drizzle database on a libSQL client. `SQLiteStore` takes other drivers",
      });
    }
    super(db, options);
    this.#host = createHostTransactions({ store: this, ...partsOf(this) });
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
    if (connection !== undefined) setConnection(client, connection);
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
      const { gate } = partsOf(store);
      gate.owned = [reporting, client];
      store.#openReporting = (limits) => databaseOn(reporting.open(limits));
      const mayMigrate = parsed.migrate !== false && parsed.readOnly !== true && !isOffline;
      if (mayMigrate && parsed.tables === undefined) {
        if (client.protocol === "file") await checkEncoding(askClient(client));
        await applyMigrations(client);
        gate.skipCheck();
      } else {
        await gate.check();
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
    partsOf(this).gate.checkOpen();
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
    partsOf(this).gate.checkOpen();
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
    return this.#host.withTransaction(transaction);
  }

  hostTransaction<T>(
    work: (transaction: AppTransaction, tx: WorkflowStore) => Promise<T>,
    options?: OperationOptions,
  ): Promise<T> {
    return this.#host.hostTransaction(work, options);
  }

  /** Closes the client if the store opened it. An app's own client stays open. */
  override close(): Promise<void> {
    return super.close();
  }
}
