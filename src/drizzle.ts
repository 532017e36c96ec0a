// What Drizzle 0.45 and 1.0 name differently. A named import of what one of them lacks would be a SyntaxError. Bundlers keep
// all of a module whose namespace is asked for a name with `in`, so only small modules are imported by namespace.
import { entityKind } from "drizzle-orm";
import * as relationsModule from "drizzle-orm/relations";
import { SQLiteDialect, SQLitePreparedQuery } from "drizzle-orm/sqlite-core";
import { UnsupportedError } from "./errors.ts";

type DefinePart = (tables: object, relations: (helpers: never) => object) => unknown;
interface Relations {
  readonly relations?: typeof relationsModule.relations;
  readonly defineRelations?: unknown;
  readonly defineRelationsPart?: DefinePart;
}
const found = relationsModule as Relations;

/** True on Drizzle 1.0. Its early versions have the classes of 0.45. */
export const isDrizzle1 =
  found.defineRelationsPart !== undefined &&
  (SQLitePreparedQuery as { readonly [entityKind]: string })[entityKind] ===
    "SQLiteBasePreparedQuery";

// 0.44 brought the query cache.
const isDrizzle0 =
  "queryWithCache" in SQLitePreparedQuery.prototype && found.defineRelations === undefined;
if (!isDrizzle1 && !isDrizzle0) {
  throw new UnsupportedError({
    feature: "drizzle-orm",
    reason:
      "this package runs on drizzle-orm 0.44, 0.45, and 1.0.0-rc.5 or later: `npm ls drizzle-orm` shows which is installed",
  });
}

/** For `is`: the class of all SQLite databases, transactions included. */
export const DatabaseClass = classOfKind("BaseSQLiteDatabase");

/** For `is`: the class of all transactions. */
export const TransactionClass = classOfKind(
  isDrizzle1 ? "SQLiteAsyncTransaction" : "SQLiteTransaction",
);

/** Drizzle compares classes by their kinds. */
function classOfKind(kind: string): { new (): object; readonly [entityKind]: string } {
  return Object.assign(function () {}, { [entityKind]: kind }) as never;
}

/** Abstract in the types of 0.45 only. */
export const DialectClass = SQLiteDialect as unknown as new () => SQLiteDialect;

/** `relations` of 0.45; null on 1.0, whose SQLite drivers cannot query them. */
export const relations = isDrizzle1 ? null : (found.relations ?? null);

/** `defineRelationsPart` of 1.0; null on 0.45. */
export const defineRelationsPart = isDrizzle1 ? (found.defineRelationsPart ?? null) : null;
