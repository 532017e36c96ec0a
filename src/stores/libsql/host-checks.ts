import { is } from "drizzle-orm";
import { BaseSQLiteDatabase, SQLiteTransaction } from "drizzle-orm/sqlite-core";
import { InvalidArgumentError, UnsupportedError } from "../../errors.ts";

/** @throws {InvalidArgumentError} {UnsupportedError} */
export function assertHostDatabase(db: { readonly $client?: unknown } | null | undefined): void {
  const client = db?.$client as { readonly batch?: unknown } | undefined;
  if (!is(db, BaseSQLiteDatabase) || typeof client?.batch !== "function") {
    throw new InvalidArgumentError({
      argument: "db",
      reason: "must be a Drizzle database on a libSQL client",
    });
  }
  assertOneCopy(db);
}

/** A database would be taken as well, and every statement would be committed by itself. */
export function assertHostTransaction(transaction: unknown): void {
  if (!is(transaction, SQLiteTransaction)) {
    throw new InvalidArgumentError({
      argument: "transaction",
      reason: is(transaction, BaseSQLiteDatabase)
        ? "is the database itself: give it what `db.transaction` calls your function with"
        : "must be what `db.transaction` of your Drizzle database calls your function with",
    });
  }
  assertOneCopy(transaction);
}

function assertOneCopy(db: object): void {
  if (db instanceof BaseSQLiteDatabase) return;
  throw new UnsupportedError({
    feature: "drizzle-orm",
    reason:
      "the database was made by another copy of drizzle-orm than the one that this package finds: " +
      "`npm ls drizzle-orm` shows both; one must go",
  });
}
