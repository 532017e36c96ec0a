import { is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import type { WorkflowTables } from "../../../schema/tables.ts";
import type { Connection } from "../connections/connection.ts";
import type { Database } from "../statements/statement.ts";

/** Drops what an app's cache holds of queries over our tables. It never rejects. */
export type ForgetCached = () => Promise<void>;

/**
 * How the cache of an app's database learns that our tables were written: `drizzle({ client, cache })`. Null where
 * there is none.
 */
export function cacheInvalidation(
  { $cache: cache }: Partial<Pick<Database, "$cache">>,
  tables: WorkflowTables,
): ForgetCached | null {
  if (cache === undefined) return null;
  // All of them: a run that is deleted takes its rows in the others along.
  const written = Object.values(tables).filter((table) => is(table, SQLiteTable));
  return async () => {
    try {
      await cache.invalidate({ tables: written });
    } catch {
      // What was written is committed: a cache that is down is no reason to say that it is not.
    }
  };
}

/**
 * The connection, with its writes made known to the app's cache. Drizzle tells it of builders that are run by
 * themselves; ours reach the client in groups, past Drizzle's session.
 */
export function withCache(connection: Connection, forget: ForgetCached | null): Connection {
  if (forget === null) return connection;
  /** After the commit: before it, a query would put back what it is about to replace. Also if its outcome is unknown. */
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
    snapshot: (work) => connection.snapshot(work),
    async write(statements, options) {
      const results = await connection.write(statements, options).catch(async (error: unknown) => {
        await forget();
        throw error;
      });
      // An empty claim changes nothing: an app's cache is not asked once for each poll.
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
