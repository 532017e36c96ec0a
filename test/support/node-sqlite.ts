import { drizzle } from "drizzle-orm/sqlite-proxy";
import type { NodeSQLiteClient } from "../../src/drivers/node-sqlite.ts";

interface NodeSQLite {
  readonly DatabaseSync: new (path: string) => NodeSQLiteClient & {
    close(): void;
    open(): void;
    function(name: string, work: () => unknown): void;
  };
}

/** The module node:sqlite; null on versions of Node that do not have it. */
export const nodeSQLite = ((
  process as { getBuiltinModule?: (name: string) => unknown }
).getBuiltinModule?.("node:sqlite") ?? null) as NodeSQLite | null;

/** A Drizzle database on node:sqlite. Drizzle 0.45 has no driver for it. */
export function drizzleOn(client: NodeSQLiteClient) {
  const db = drizzle(async (sql, params, method) => {
    const statement = client.prepare(sql);
    if (method === "run") {
      statement.run(...params);
      return { rows: [] };
    }
    statement.setReturnArrays(true);
    return { rows: (method === "get" ? statement.get(...params) : statement.all(...params)) as [] };
  });
  return Object.assign(db, { $client: client });
}
