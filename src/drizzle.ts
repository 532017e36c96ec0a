// What Drizzle 0.45 and 1.0 name differently. By namespace, since a named import of what one of them lacks would be a
// SyntaxError; with `in`, so that bundlers neither warn of a missing name nor keep the rest of Drizzle.
import * as orm from "drizzle-orm";
import type { SQLiteDialect } from "drizzle-orm/sqlite-core";
import * as core from "drizzle-orm/sqlite-core";
import { UnsupportedError } from "./errors.ts";

const core1 = core as unknown as {
  readonly SQLiteAsyncDatabase: typeof core.BaseSQLiteDatabase;
  readonly SQLiteAsyncTransaction: typeof core.SQLiteTransaction;
};
type DefinePart = (tables: object, relations: (helpers: never) => object) => unknown;
const orm1 = orm as unknown as { readonly defineRelationsPart: DefinePart };

/** True on Drizzle 1.0. */
export const isDrizzle1 = "SQLiteAsyncDatabase" in core && "defineRelationsPart" in orm;

// 0.44 brought the query cache; early 1.0 has `defineRelations` and the classes of 0.45.
const isDrizzle0 =
  "SQLitePreparedQuery" in core &&
  "queryWithCache" in core.SQLitePreparedQuery.prototype &&
  !("defineRelations" in orm);
if (!isDrizzle1 && !isDrizzle0) {
  throw new UnsupportedError({
    feature: "drizzle-orm",
    reason:
      "this package runs on drizzle-orm 0.44, 0.45, and 1.0.0-rc.5 or later: `npm ls drizzle-orm` shows which is installed",
  });
}

/** The class of all SQLite databases, transactions included. */
export const DatabaseClass =
  "BaseSQLiteDatabase" in core ? core.BaseSQLiteDatabase : core1.SQLiteAsyncDatabase;

export const TransactionClass =
  "SQLiteTransaction" in core ? core.SQLiteTransaction : core1.SQLiteAsyncTransaction;

/** Abstract in the types of 0.45 only. */
export const DialectClass = core.SQLiteDialect as unknown as new () => SQLiteDialect;

/** `relations` of 0.45; null on 1.0, whose SQLite drivers cannot query them. */
export const relations = "relations" in orm ? orm.relations : null;

/** `defineRelationsPart` of 1.0; null on 0.45. */
export const defineRelationsPart = "defineRelationsPart" in orm ? orm1.defineRelationsPart : null;
