import type { Client, ResultSet } from "@libsql/client";
import { is, sql } from "drizzle-orm";
import { DatabaseClass, DialectClass, TransactionClass } from "../../../drizzle.ts";
import { foreignKeysOff } from "../../../drivers/sync-database.ts";
import { InvalidArgumentError, UnsupportedError } from "../../../errors.ts";
import { assertStructure, type RunQuery } from "../../../migrations/structure.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { rethrow } from "../errors/translate.ts";
import { resultOf, type Connection } from "../connections/connection.ts";
import { BoundStatement, type Database } from "../statements/statement.ts";

/** Queries a client, without Drizzle's session, so that an app's logger gets only the queries of the app. */
export const askClient = (client: Client): RunQuery =>
  rowsOf((text, args) => client.execute({ sql: text, args: [...args] }));

/** Queries a connection. */
export const askConnection =
  (connection: Pick<Connection, "read">): RunQuery =>
  async (text, args) => {
    const query = { traits: {}, build: () => sql.raw(text) as never };
    const [result] = await connection.read([new BoundStatement(query, text, [...args], {})]);
    return result?.rows ?? [];
  };

/** Queries an app's transaction. */
export const askTransaction = (transaction: Database): RunQuery =>
  rowsOf((text, args) => {
    const parts = text.split("?").map((part, index) => {
      const before = index === 0 ? sql`` : sql`${args[index - 1]}`;
      return sql`${before}${sql.raw(part)}`;
    });
    return transaction.run(sql.join(parts));
  });

const rowsOf =
  (run: (...query: Parameters<RunQuery>) => Promise<ResultSet>): RunQuery =>
  async (text, args) =>
    resultOf(await run(text, args).catch(rethrow("read"))).rows;

/** The database that writes, if `db` is the result of `withReplicas`; otherwise `db`. */
export function primaryOf<Db extends object>(db: Db): Db {
  const { $primary } = (db ?? {}) as { readonly $primary?: Db };
  return $primary !== undefined && is($primary, DatabaseClass) ? $primary : db;
}

/**
 * @throws {InvalidArgumentError} if `db` is not a Drizzle database on SQLite.
 * @throws {UnsupportedError} if it belongs to another version of drizzle-orm.
 */
export function assertHostDatabase(db: unknown): void {
  if (!is(db, DatabaseClass)) {
    throw new InvalidArgumentError({
      argument: "db",
      reason: "must be a Drizzle database on SQLite",
    });
  }
  assertOneVersion(db);
}

/**
 * Rejects a database, on which every statement would be committed separately.
 *
 * @throws {InvalidArgumentError} if the argument is not a Drizzle transaction.
 * @throws {UnsupportedError} if it belongs to another version of drizzle-orm.
 */
export function assertHostTransaction(transaction: unknown): void {
  if (!is(transaction, TransactionClass)) {
    throw new InvalidArgumentError({
      argument: "transaction",
      reason: is(transaction, DatabaseClass)
        ? "is the database itself: give it what `db.transaction` calls your function with"
        : "must be what `db.transaction` of your Drizzle database calls your function with",
    });
  }
  assertOneVersion(transaction);
}

/** The client of a Drizzle database or transaction; undefined if Drizzle does not expose it. */
export function clientOf(database: object): Client | undefined {
  const { session } = database as { readonly session?: { readonly client?: Client } };
  return session?.client;
}

/**
 * Passes unless the transaction is known to be in another database. Two clients of one file have the same database. A
 * server that does not report its file may have any.
 *
 * @throws {InvalidArgumentError} if the database is another one.
 */
export async function assertSameDatabase(transaction: RunQuery, own: RunQuery): Promise<void> {
  const [file, ownFile] = await Promise.all([fileOf(transaction), fileOf(own)]);
  const areKnown = typeof file === "string" && typeof ownFile === "string";
  // In memory, every client has its own database, without a name.
  if (!areKnown || (file === ownFile && file !== "")) return;
  throw new InvalidArgumentError({
    argument: "transaction",
    reason: "is of another database than the store's: nothing was written",
  });
}

/** The file of the database; undefined if the database does not report it. */
async function fileOf(query: RunQuery): Promise<unknown> {
  const text = "select file from pragma_database_list where name = 'main'";
  const rows = await query(text, []).catch(() => []);
  return rows[0]?.[0];
}

/** SQLite 3.43 was the first with `octet_length()`. */
const oldestMinor = 43;

/**
 * @throws {UnsupportedError} if the client reads integers as other values than numbers, text is not UTF-8, foreign keys are
 *   off, `pragma count_changes` is on, or SQLite is too old.
 * @throws {SchemaOutOfDateError} if tables or columns are missing.
 */
export async function checkDatabase(
  query: RunQuery,
  {
    tables,
    isLocal,
    hasOwnPragmas,
  }: {
    readonly tables: WorkflowTables;
    readonly isLocal: boolean;
    /** True if the app sets the pragmas of its connection. */
    readonly hasOwnPragmas: boolean;
  },
): Promise<void> {
  const [row] = await query("select 1", []);
  if (typeof row?.[0] !== "number") {
    throw new UnsupportedError({
      feature: "intMode",
      reason: "the client must read integers as numbers: create it without `intMode`",
    });
  }
  if (isLocal && hasOwnPragmas) {
    await checkVersion(query);
    await checkCounts(query);
  }
  if (isLocal) await checkEncoding(query);
  if (hasOwnPragmas) await checkForeignKeys(query);
  await assertStructure(query, tables);
}

/** @throws {UnsupportedError} if the library of the app lacks functions that our statements use. */
async function checkVersion(query: RunQuery): Promise<void> {
  const [[version] = []] = await query("select sqlite_version()", []);
  const [, minor] = String(version).split(".");
  if (Number(minor) >= oldestMinor) return;
  throw new UnsupportedError({
    feature: `SQLite ${String(version)}`,
    reason: `the store needs 3.${oldestMinor} or later: install a newer version of your SQLite library`,
  });
}

/** @throws {UnsupportedError} if each write returns a row, which counts as a change even if the write had no effect. */
async function checkCounts(query: RunQuery): Promise<void> {
  const [row] = await query("pragma count_changes", []);
  if (Number(row?.[0] ?? 0) === 0) return;
  throw new UnsupportedError({
    feature: "pragma count_changes",
    reason: "it is on, so writes return rows: leave it off, as the documentation of SQLite advises",
  });
}

/**
 * Passes if text is compared by its UTF-8 bytes, as the order of runs and their cursors requires.
 *
 * @throws {UnsupportedError} otherwise.
 */
export async function checkEncoding(query: RunQuery): Promise<void> {
  const [row] = await query("select encoding from pragma_encoding", []);
  if (row === undefined || row[0] === "UTF-8") return;
  throw new UnsupportedError({
    feature: "encoding",
    reason:
      `the database stores text as ${String(row[0])}, which sorts ids in another order: make a new file with ` +
      "`pragma encoding = 'UTF-8'` and copy its content there",
  });
}

/** @throws {UnsupportedError} if deleting a run would not delete its children. */
async function checkForeignKeys(query: RunQuery): Promise<void> {
  const [row] = await query("select foreign_keys from pragma_foreign_keys", []);
  if (Number(row?.[0]) === 1) return;
  throw foreignKeysOff();
}

/**
 * Passes for another copy of the same version, because an app that calls `require` loads another build than this package.
 *
 * @throws {UnsupportedError} for another version, which builds other SQL.
 */
function assertOneVersion(db: object): void {
  const { dialect } = db as { readonly dialect?: object };
  // The classes of 1.0 define `instanceof`, which any copy passes.
  if (Function.prototype[Symbol.hasInstance].call(DialectClass, dialect)) return;
  const theirs = dialect === undefined ? null : classOf(dialect, "SQLiteDialect");
  if (theirs !== null && signatureOf(theirs) === signatureOf(DialectClass)) return;
  throw new UnsupportedError({
    feature: "drizzle-orm",
    reason:
      "the database was made by another version of drizzle-orm than the one that this package finds: " +
      "`npm ls drizzle-orm` shows both; one must go",
  });
}

interface Class {
  readonly prototype: object;
}

/** The class of the object that has this name; null if there is none. */
function classOf(object: object, name: string): Class | null {
  for (let each: unknown = Object.getPrototypeOf(object); isObject(each);) {
    if (each.constructor.name === name) return each.constructor;
    each = Object.getPrototypeOf(each);
  }
  return null;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** A text that is equal for all builds of a class. The build for `require` names imports in another way. */
function signatureOf(constructor: Class): string {
  // Bun returns optimized code, which differs between the two builds.
  if ("Bun" in globalThis) return Object.getOwnPropertyNames(constructor.prototype).join();
  return Function.prototype.toString
    .call(constructor)
    .replaceAll(/\(0, (?:import_|require_|__)[\w$]+\.([\w$]+)\)/g, "$1")
    .replaceAll(/\b(?:import_|require_|__)[\w$]+\.([\w$]+)/g, "$1")
    .replaceAll(/([\w$]+): \1\b/g, "$1");
}
