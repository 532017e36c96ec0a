import { is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import type { WorkflowTables } from "../../../schema/tables.ts";
import type { Connection } from "../connections/connection.ts";
import type { Database } from "../statements/statement.ts";

/** Invalidates an app's cached queries of our tables. Never rejects. */
export type ForgetCached = () => Promise<void>;

/**
 * The invalidation of the app's cache, `drizzle({ client, cache })`. Null if it has no cache.
 */
export function cacheInvalidation(
  { $cache: cache }: Partial<Pick<Database, "$cache">>,
  tables: WorkflowTables,
): ForgetCached | null {
  if (cache === undefined) return null;
  // All tables, because deleting a run deletes rows of the others.
  const written = Object.values(tables).filter((table) => is(table, SQLiteTable));
  return async () => {
    try {
      await cache.invalidate({ tables: written });
    } catch {
      // The write is committed, so a failing cache must not make it fail.
    }
  };
}

/**
 * Wraps the connection so that its writes invalidate the app's cache. Our statements bypass Drizzle's session, which
 * would do this.
 */
export function withCache(connection: Connection, forget: ForgetCached | null): Connection {
  if (forget === null) return connection;
  /** Invalidates after the commit, because a query before it would cache the old rows. Also if the outcome is unknown. */
  const forgetting = async <T>(written: Promise<T>): Promise<T> => {
    try {
      return await written;
    } finally {
      await forget();
    }
  };
  const guarded = connection.writeGuarded?.bind(connection);
  return {
    read: (statements) => connection.read(statements),
    hasTransactions: connection.hasTransactions ?? true,
    maxUnionTerms: connection.maxUnionTerms,
    snapshot: (queries) => connection.snapshot(queries),
    async write(statements, options) {
      const results = await connection.write(statements, options).catch(async (error: unknown) => {
        await forget();
        throw error;
      });
      // An empty claim changes nothing, so polls do not call the cache.
      if (!results.some(({ changes, rows }) => changes > 0 || rows.length > 0)) return results;
      const forgotten = forget();
      if (!options?.urgent) await forgotten;
      return results;
    },
    transaction: (work, options) => forgetting(connection.transaction(work, options)),
    ...(guarded !== undefined && {
      writeGuarded: (statements, options) => forgetting(guarded(statements, options)),
    }),
    ...(connection.runScript !== undefined && {
      runScript: connection.runScript.bind(connection),
    }),
  };
}
