// Databases of an app on other drivers than libSQL.
import type { Client, InStatement, ResultSet } from "@libsql/client";
import type BetterSQLite3 from "better-sqlite3";
import { drizzle as drizzleOnBetterSQLite3 } from "drizzle-orm/better-sqlite3";
import { drizzle as drizzleOnD1 } from "drizzle-orm/d1";
import type { D1Client } from "../../src/drivers/d1.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { SQLiteStore } from "../../src/stores/sqlite/sqlite-store.ts";
import { drizzleOn, openBetterSQLite3 } from "../support/better-sqlite3.ts";
import { startD1 } from "../support/d1.ts";
import { appDefinitions, resetScript } from "./app.ts";
import { appSchema, onCopies, type Place, type Stores } from "./places.ts";

type Text = { readonly sql: string; readonly args: readonly unknown[] };

function textOf(statement: InStatement): Text {
  return typeof statement === "string"
    ? { sql: statement, args: [] }
    : { sql: statement.sql, args: statement.args as readonly unknown[] };
}

/** Rows by name and by position, as libSQL has them. */
function resultOf(
  rows: readonly object[],
  rowsAffected = 0,
  columns = Object.keys(rows[0] ?? {}),
): ResultSet {
  const indexed = rows.map((row) => ({
    ...Object.fromEntries(Object.values(row).entries()),
    ...row,
  }));
  return { rows: indexed, columns, rowsAffected } as unknown as ResultSet;
}

/** The app's use of better-sqlite3, in the words of libSQL's client. */
function asClient(database: BetterSQLite3.Database): Client {
  const run = (statement: InStatement): ResultSet => {
    const { sql, args } = textOf(statement);
    const prepared = database.prepare(sql);
    if (prepared.reader) {
      const columns = prepared.columns().map(({ name }) => name);
      return resultOf(prepared.all(args) as object[], 0, columns);
    }
    return resultOf([], prepared.run(args).changes);
  };
  const client = {
    protocol: "file",
    execute: async (statement: InStatement) => run(statement),
    // Synchronous, as the app's own transactions are.
    batch: async (statements: InStatement[]) =>
      database.transaction(() => statements.map((each) => run(each)))(),
    async executeMultiple(sql: string) {
      try {
        database.exec(sql);
      } finally {
        if (database.inTransaction) database.exec("rollback");
      }
    },
    /** One that the app leaves open while other code runs. */
    async transaction() {
      database.exec("begin immediate");
      const end = (how: string) => {
        if (database.inTransaction) database.exec(how);
      };
      return {
        execute: client.execute,
        commit: async () => end("commit"),
        rollback: async () => end("rollback"),
        close: () => end("rollback"),
      };
    },
  };
  return client as unknown as Client;
}

export function onBetterSQLite3(): Promise<Place> {
  return onCopies(
    async (path) => {
      const client = openBetterSQLite3(path);
      await migrate(drizzleOn(client));
      for (const each of appDefinitions) client.exec(each);
      client.exec("pragma wal_checkpoint(truncate)");
      client.close();
    },
    (path) => {
      const client = openBetterSQLite3(path);
      return {
        client: asClient(client),
        makeStores(clock) {
          const db = drizzleOnBetterSQLite3({ client, schema: appSchema });
          // The builders of the store in the app's synchronous transaction.
          const batch = async (builders: readonly { run(): unknown }[]) =>
            client.transaction(() => builders.map((each) => each.run()))();
          // Two stores on one connection keep the order of their writes.
          const [store, other] = [1, 2].map(() => new SQLiteStore(db, { clock }));
          return { db: Object.assign(db, { batch }), store, other } as unknown as Stores;
        },
        close: async () => void client.close(),
      };
    },
  );
}

function asClientOfD1(d1: D1Client): Client {
  const batch = async (statements: InStatement[]) => {
    const bound = statements.map((each) => {
      const { sql, args } = textOf(each);
      return d1.prepare(sql).bind(...args);
    });
    const results = await d1.batch(bound);
    return results.map(({ results: rows = [], meta }) => resultOf(rows, meta.changes));
  };
  const client = {
    protocol: "d1",
    batch,
    async execute(statement: InStatement) {
      // Foreign keys are always on.
      if (statement === "pragma foreign_keys") return resultOf([{ foreign_keys: 1 }]);
      const [result] = await batch([statement]);
      return result;
    },
  };
  return client as unknown as Client;
}

/** One database for all sequences: what the app has added is removed after each. */
export async function onD1(): Promise<Place> {
  const d1 = await startD1();
  await migrate(drizzleOnD1(d1.client as never));
  const client = asClientOfD1(d1.client);
  await client.batch([...appDefinitions]);
  return {
    async open() {
      return {
        client,
        url: null,
        makeStores(clock) {
          const db = drizzleOnD1(d1.client as never, { schema: appSchema });
          const store = new SQLiteStore(db, { clock });
          // Two stores do not share the order of their writes, as two requests of a Worker do not.
          return { db, store, other: store } as unknown as Stores;
        },
        async close() {
          await client.batch(await resetScript(client));
        },
      };
    },
    close: () => d1.stop(),
  };
}
