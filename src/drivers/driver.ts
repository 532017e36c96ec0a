import type { Client } from "@libsql/client";
import { entityKind } from "drizzle-orm";
import { InvalidArgumentError } from "../errors.ts";
import { useBetterSQLite3, type BetterSQLite3Client } from "./better-sqlite3.ts";
import type { D1Client } from "./d1.ts";
import { useBunSQLite, type BunSQLiteClient } from "./bun-sqlite.ts";
import { DurableDatabase, type DurableStorage } from "./durable-sqlite.ts";
import { useNodeSQLite, type NodeSQLiteClient } from "./node-sqlite.ts";
import type { SyncDatabase } from "./sync-database.ts";

/** How the database of an app is used. */
export type Driver =
  | { readonly kind: "libsql"; readonly client: Client }
  | { readonly kind: "d1"; readonly client: D1Client }
  | { readonly kind: "sync"; readonly database: SyncDatabase };

type Use = (client: never) => SyncDatabase;

/** The libraries with one synchronous connection, by the kind of Drizzle's database. */
const syncLibraries: ReadonlyMap<string, Use> = new Map<string, Use>([
  ["BetterSQLite3Database", (client: BetterSQLite3Client) => useBetterSQLite3(client)],
  ["NodeSQLiteDatabase", (client: NodeSQLiteClient) => useNodeSQLite(client)],
  // Drizzle 0.45 has no driver for node:sqlite. With `sqlite-proxy` an app adds the client.
  ["SqliteRemoteDatabase", (client: NodeSQLiteClient) => useNodeSQLite(client)],
  ["BunSQLiteDatabase", (client: BunSQLiteClient) => useBunSQLite(client)],
  ["DrizzleSqliteDODatabase", (client: DurableStorage) => new DurableDatabase(client)],
  ["SQLiteBunDatabase", (client: BunSQLiteClient) => useBunSQLite(client)],
]);

/** By client, because stores on one client share its statements and the order of its writes. */
const syncDatabases = new WeakMap<object, SyncDatabase>();

/**
 * The driver of a Drizzle database, which is known by Drizzle's name for its class.
 *
 * @throws {InvalidArgumentError} that lists the drivers, if it is another one.
 * @throws {UnsupportedError} if the library is too old.
 */
export function driverOf(db: unknown): Driver {
  const client = (db as { readonly $client?: unknown } | null | undefined)?.$client;
  if (isLibSQLClient(client)) return { kind: "libsql", client };
  const kinds = kindsOf(db);
  if (kinds.includes("D1Database") && takesSQL(client)) {
    return { kind: "d1", client: client as D1Client };
  }
  const use = kinds.map((kind) => syncLibraries.get(kind)).find((each) => each !== undefined);
  if (use === undefined || !takesSQL(client)) throw unknownDriver(kinds);
  let database = syncDatabases.get(client);
  if (database === undefined) syncDatabases.set(client, (database = use(client as never)));
  return { kind: "sync", database };
}

/** True for a client of libSQL. The binding of D1 also has `batch`. */
export function isLibSQLClient(client: unknown): client is Client {
  const { batch, execute } = (client ?? {}) as Partial<Client>;
  return typeof batch === "function" && typeof execute === "function";
}

/** Drizzle's names for the classes of an object. */
function kindsOf(db: unknown): string[] {
  const kinds: string[] = [];
  for (let each: unknown = db; isObject(each);) {
    each = Object.getPrototypeOf(each);
    const kind: unknown = isObject(each) ? Reflect.get(each.constructor, entityKind) : undefined;
    if (typeof kind === "string") kinds.push(kind);
  }
  return kinds;
}

function unknownDriver([kind]: readonly string[]): InvalidArgumentError {
  return new InvalidArgumentError({
    argument: "db",
    reason:
      "must be a Drizzle database on libsql, better-sqlite3, node-sqlite (or sqlite-proxy with a DatabaseSync as " +
      `\`$client\`), bun-sqlite, d1 or durable-sqlite${kind === undefined ? "" : `, and is a ${kind}`}`,
  });
}

function takesSQL(client: unknown): client is object {
  return isObject(client) && ("prepare" in client || "sql" in client);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
