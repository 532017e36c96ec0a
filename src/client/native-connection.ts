import { pathToFileURL } from "node:url";
import type { IntMode, ResultSet, Value } from "@libsql/client";
import Database from "libsql";
import { bind, type NativeValue } from "./bound-values.ts";
import type { LocalDatabaseSettings } from "./config.ts";
import type { DatabaseFile } from "./database-file.ts";
import type { Statement, StatementResult } from "./local-client.ts";
import {
  readIntegerAs,
  resultOfChange,
  resultOfRows,
  rowOf,
  type NativeCell,
} from "./result-set.ts";
import { NativeStatement } from "./native-statement.ts";
import { hiddenTable, isOfChangedColumns, toLibsqlError, toOpeningError } from "./sqlite-errors.ts";
import { mayBindConnection } from "./statement-kinds.ts";
import { StatementCache, type PreparedStatement, type SchemaVersion } from "./statement-cache.ts";
import type { ClientStatement } from "./statements.ts";

/**
 * A connection of the binding. Every call is synchronous and leaves no statement in progress. It never waits for a
 * lock, because waiting in the binding blocks the event loop.
 */
export class NativeConnection {
  readonly #settings: LocalDatabaseSettings;
  readonly #file: DatabaseFile;
  readonly #reads: boolean;
  readonly #pragmas: string;
  #database: Database.Database;
  #statements: Statements;
  #schema: SchemaVersion = { version: 0 };
  /** True if a statement since the last `restore` changed the schema. A rollback may undo the change. */
  #hasChangedSchema = false;
  /** False until the pragmas of the connection are set, which may meet a lock. */
  #isConfigured = false;
  /** True if a pragma or a script may have changed the settings of the connection. */
  #isAltered = false;
  #isBound = false;
  /** True if it must be opened again, because it could not be restored. */
  #spoiled = false;

  /** @throws {LibsqlError} if the file cannot be opened. */
  constructor(settings: LocalDatabaseSettings, file: DatabaseFile, role: "reads" | "writes") {
    this.#settings = settings;
    this.#file = file;
    this.#reads = role === "reads";
    this.#pragmas = Object.entries({
      ...connectionState,
      synchronous: settings.durability,
      query_only: this.#reads ? "on" : "off",
    })
      .map(([name, value]) => `pragma ${name} = ${value};`)
      .join("");
    ({ database: this.#database, statements: this.#statements } = this.#open());
  }

  get inTransaction(): boolean {
    // The binding ends the process if a closed database is asked.
    return this.#database.open && this.#database.inTransaction;
  }

  /** The value of a pragma that has one. */
  pragma(name: string): unknown {
    const [[value] = []] = this.run({ sql: `pragma ${name}`, args: [], single: true }).rows;
    return value;
  }

  get isOpen(): boolean {
    return this.#database.open;
  }

  /** Runs a script. Only this path of the binding finalizes a statement that met a lock. */
  exec(sql: string): void {
    try {
      this.#beReady();
      this.#database.exec(sql);
    } catch (error) {
      throw toLibsqlError(error);
    } finally {
      if (!this.#reads && !transactionControl.has(sql)) this.#forgetColumns();
    }
  }

  /** Runs a script of the app, which may change the settings of the connection. */
  runScript(sql: string): void {
    this.#isAltered = true;
    try {
      this.exec(sql);
    } finally {
      if (this.isOpen && mayBindConnection(sql)) this.#noteOwnTables();
    }
  }

  /** Runs `work` with writes disabled. */
  readOnly<T>(work: () => T): T {
    if (this.#reads) return work();
    this.exec("pragma query_only = on");
    try {
      return work();
    } finally {
      this.exec("pragma query_only = off");
    }
  }

  /** Disables writes until `restore`. */
  refuseWrites(): void {
    this.#isAltered = true;
    this.exec("pragma query_only = on");
  }

  /** Rolls an open transaction back and resets changed settings. If that fails, the connection is opened again. */
  restore(): void {
    if (this.#hasChangedSchema) this.#forgetColumns();
    this.#hasChangedSchema = false;
    try {
      if (this.inTransaction) this.#database.exec("rollback");
    } catch {
      // SQLite may have ended the transaction already.
    }
    try {
      // The query releases the lock of an exclusive locking mode.
      if (this.#isAltered && this.isOpen) this.#database.exec(`${this.#pragmas}${readSchema}`);
      this.#isAltered = false;
    } catch {
      this.#isConfigured = false;
    }
    // A database in memory would be lost.
    if (!this.inTransaction || this.#settings.inMemory) return;
    this.#spoiled = true;
    this.close();
  }

  /** True if it has temporary tables or attached databases, which no other connection sees. */
  get isBound(): boolean {
    return this.#isBound;
  }

  /**
   * Rows as arrays, integers as numbers; bytes in place of text that is not UTF-8.
   *
   * @throws {LibsqlError} `TABLE_HIDDEN`
   */
  run(statement: Statement): StatementResult {
    try {
      return this.#run(statement);
    } catch (error) {
      // The columns of `*` have changed. The statement was forgotten, and is prepared again.
      if (!isOfChangedColumns(error)) throw error;
      return this.#run(statement);
    }
  }

  #run({ sql, args, single }: Statement): StatementResult {
    return this.#attempt(sql, () => {
      if (this.#isBound) this.#refuseHiddenTables(sql);
      // The binding would end the process.
      if (args.some(isBoolean)) throw new TypeError("a boolean cannot be bound: pass 0 or 1");
      const statement = this.#statements[single === true ? "first" : "all"].get(sql);
      const parameters = bind(args, statement.parameters);
      if (!statement.givesRows) {
        return { rows: [], changes: this.#change(statement, parameters).changes };
      }
      const rows = (statement.packed?.rows(parameters, null) ??
        plainRows(statement, parameters, single)) as Value[][];
      return { rows, changes: single === true ? 0 : rows.length };
    });
  }

  /**
   * Runs a statement of the `Client` interface.
   *
   * @throws {LibsqlError} `TEXT_NOT_UTF8`
   */
  execute({ sql, args, invalid }: ClientStatement, intMode: IntMode): ResultSet {
    if (invalid !== undefined) throw invalid;
    return this.#attempt(sql, () => {
      const statement = this.#presentStatement(sql);
      const parameters = bind(args, statement.parameters);
      if (!statement.givesRows) {
        const { changes, lastInsertRowid } = this.#change(statement, parameters);
        return resultOfChange(changes, BigInt(lastInsertRowid));
      }
      if (statement.isPragma) this.#isAltered = true;
      const rows =
        statement.packed?.rows(parameters, readIntegerAs[intMode]) ??
        (plainRows(statement, parameters) as NativeCell[][]);
      const { columns } = statement;
      return resultOfRows(
        columns,
        rows.map((cells) => rowOf(columns, cells, intMode)),
      );
    });
  }

  /** Rolls an open transaction back first. SQLite keeps its locks until the last statement is garbage-collected. */
  close(): void {
    if (!this.#database.open) return;
    try {
      if (this.inTransaction) this.#database.exec("rollback");
    } catch {
      // The connection is closed anyway.
    }
    this.#database.close();
  }

  #change(statement: PreparedStatement, parameters: readonly NativeValue[]): Database.RunResult {
    const result = statement.native.run(parameters);
    if (statement.changesSchema) {
      this.#forgetColumns();
      if (statement.mayBindConnection) this.#noteOwnTables();
      this.#isAltered ||= statement.isPragma;
    }
    return result;
  }

  #noteOwnTables(): void {
    const query =
      "select 1 from pragma_database_list where name not in ('main', 'temp') union all select 1 from temp.sqlite_schema";
    try {
      this.#isBound ||= this.#statements.first.get(query).native.get([]) !== undefined;
    } catch {
      this.#isBound = true;
    }
  }

  /** A temporary table has precedence over a table of the same name, and disappears with the connection. */
  #refuseHiddenTables(sql: string): void {
    const query =
      "select t.name from temp.sqlite_schema t join main.sqlite_schema m on m.name = t.name collate nocase where t.type in ('table', 'view')";
    for (const [name] of this.#statements.all.get(query).native.all([]) as [string][]) {
      if (sql.toLowerCase().includes(`"${name.toLowerCase()}"`)) throw hiddenTable(name);
    }
  }

  #attempt<T>(sql: string, use: () => T): T {
    this.#beReady();
    try {
      return use();
    } catch (error) {
      // The failed statement may not be reset. It would then ignore its next values.
      this.#statements.forget(sql);
      if (this.#hasChangedSchema) this.#forgetColumns();
      throw toLibsqlError(error);
    }
  }

  /** The statement for `execute`. It is prepared again if the schema has changed, because its columns may have changed. */
  #presentStatement(sql: string): PreparedStatement {
    const { execute } = this.#statements;
    const version = this.#statements.schemaVersion();
    if (version !== this.#schema.version) {
      this.#schema = { version };
      // Preparing a statement uses the schema that SQLite has cached. Running one reads the current schema.
      this.#database.exec(readSchema);
    }
    let statement = execute.get(sql);
    // The version does not include temporary and attached tables.
    const isPresent = statement.schema === this.#schema && !this.#isBound;
    if (statement.schema !== null && !isPresent) {
      execute.forget(sql);
      statement = execute.get(sql);
    }
    statement.schema = this.#schema;
    return statement;
  }

  /** After a rollback, another schema may get the same version. Temporary tables have no version. */
  #forgetColumns(): void {
    this.#hasChangedSchema = true;
    this.#schema = { version: this.#schema.version };
  }

  /** @throws {LibsqlError} for example `SQLITE_BUSY`. The next use tries again. */
  #beReady(): void {
    if (this.#spoiled) {
      ({ database: this.#database, statements: this.#statements } = this.#open());
      this.#spoiled = false;
      this.#isConfigured = false;
    }
    if (this.#isConfigured || !this.#database.open) return;
    try {
      this.#database.exec(this.#pragmas);
      this.#isConfigured = true;
    } catch (error) {
      throw toLibsqlError(error);
    }
  }

  #open(): { database: Database.Database; statements: Statements } {
    const { path, encryptionKey, readOnly } = this.#settings;
    // Opening a file that was deleted would create a new one.
    this.#file.check();
    try {
      const database = new Database(readOnly ? `${pathToFileURL(path).href}?mode=ro` : path, {
        timeout: 0,
        ...(encryptionKey !== null && { encryptionKey }),
      });
      return { database, statements: new Statements(database) };
    } catch (error) {
      throw toOpeningError(error);
    }
  }
}

function isBoolean(value: unknown): boolean {
  return typeof value === "boolean";
}

/** All rows of a statement that is not packed. The statement is reset afterwards. */
function plainRows(
  { native, explains }: PreparedStatement,
  parameters: readonly NativeValue[],
  single = false,
): unknown[] {
  if (single) {
    const row: unknown = native.get(parameters);
    return row === undefined ? [] : [row];
  }
  const rows = native.all(parameters);
  // Reading one row resets the statement, and explaining it again changes nothing.
  if (explains) native.get(parameters);
  return rows;
}

/** The settings of each connection. They are restored after a script or a pragma, which must not affect later calls. */
const connectionState = {
  foreign_keys: "on",
  recursive_triggers: "off",
  ignore_check_constraints: "off",
  writable_schema: "off",
  locking_mode: "normal",
  busy_timeout: "0",
  legacy_alter_table: "off",
  short_column_names: "on",
  full_column_names: "off",
  count_changes: "off",
  case_sensitive_like: "off",
  reverse_unordered_selects: "off",
  read_uncommitted: "off",
} as const;

const readSchema = "select 1 from sqlite_schema limit 1";

/** The scripts of this client that do not change the schema. */
const transactionControl: ReadonlySet<string> = new Set([
  "begin",
  "begin immediate",
  "commit",
  "savepoint gorkflow_group",
  "release gorkflow_group",
  "pragma query_only = on",
  "pragma query_only = off",
]);

/** The prepared statements of a connection, in one cache for each kind of use. */
class Statements {
  readonly first: StatementCache;
  readonly all: StatementCache;
  readonly execute: StatementCache;
  readonly #prepare: (sql: string) => NativeStatement;
  #schemaVersion: NativeStatement | null = null;

  constructor(database: Database.Database) {
    const prepare = (sql: string) => new NativeStatement(database, sql);
    this.first = new StatementCache(prepare, "first");
    this.all = new StatementCache(prepare, "all");
    this.execute = new StatementCache((sql) => prepare(sql).safeIntegers(), "each");
    this.#prepare = prepare;
  }

  forget(sql: string): void {
    for (const cache of [this.first, this.all, this.execute]) cache.forget(sql);
  }

  /** Changes with every table, index, view and trigger. */
  schemaVersion(): number {
    this.#schemaVersion ??= this.#prepare("pragma schema_version").raw();
    const [version] = this.#schemaVersion.get([]) as [number];
    return version;
  }
}
