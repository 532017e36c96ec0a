import { createClient as createUpstreamClient, type Client } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "../../src/client/create-client.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { schema } from "../../src/schema/schema.ts";
import type { Clock } from "../../src/store/clock.ts";
import type { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { startSqld } from "../support/sqld.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { appDefinitions, notes, orders, resetScript } from "./app.ts";

/** A database that an app shares with the store. */
export interface Place {
  /** A migrated database with the app's tables and no rows. */
  open(): Promise<OpenedDatabase>;
  close(): Promise<void>;
}

export interface OpenedDatabase {
  /** The client of the app. On other drivers than libSQL, it has the parts of the interface that the app uses. */
  readonly client: Client;
  /** Defaults to a store and a Drizzle database on the client. */
  readonly makeStores?: (clock: Clock) => Stores;
  /** Where another process finds the database; null if no other process can. */
  readonly url: string | null;
  close(): Promise<void>;
}

/** A Drizzle database and two stores in it. */
export interface Stores {
  readonly db: ReturnType<typeof openDrizzle>;
  readonly store: LibSQLStore<ReturnType<typeof openDrizzle>>;
  readonly other: LibSQLStore<ReturnType<typeof openDrizzle>>;
}

export const appSchema = { ...schema, orders, notes };

export function openDrizzle(client: Client) {
  return drizzle({ client, schema: appSchema });
}

async function prepare(client: Client): Promise<void> {
  await migrate(client);
  await client.migrate([...appDefinitions]);
}

/** Each sequence works on its own copy of a file that `make` has made. */
export async function onCopies(
  make: (path: string) => Promise<void>,
  open: (path: string) => Omit<OpenedDatabase, "url">,
): Promise<Place> {
  const folder = await temporaryFolder();
  const template = join(folder.path, "template.db");
  await make(template);
  let count = 0;
  return {
    async open() {
      const path = join(folder.path, `${(count += 1)}.db`);
      await copyFile(template, path);
      return { url: `file:${path}`, ...open(path) };
    },
    close: () => folder.remove(),
  };
}

function onFile(create: (url: string) => Client): Promise<Place> {
  return onCopies(
    async (path) => {
      const client = create(`file:${path}`);
      await prepare(client);
      await client.execute("pragma wal_checkpoint(truncate)");
      client.close();
    },
    (path) => {
      const client = create(`file:${path}`);
      return { client, close: async () => client.close() };
    },
  );
}

async function inMemory(): Promise<Place> {
  return {
    async open() {
      const client = createClient(":memory:");
      await prepare(client);
      return { client, url: null, close: async () => client.close() };
    },
    async close() {},
  };
}

/** One server for all sequences: what the app has added is removed after each. */
async function onServer(): Promise<Place> {
  const server = await startSqld();
  const client = createUpstreamClient({ url: server.httpUrl });
  await prepare(client);
  return {
    async open() {
      return {
        client,
        url: server.httpUrl,
        async close() {
          await client.batch(await resetScript(client), "write");
        },
      };
    },
    async close() {
      client.close();
      await server.stop();
    },
  };
}

export const places = {
  "a file, by our client": () => onFile((url) => createClient(url)),
  "memory, by our client": inMemory,
  "a file, by @libsql/client": () => onFile((url) => createUpstreamClient({ url })),
  "a server": onServer,
} satisfies Record<string, () => Promise<Place>>;

export type PlaceName = keyof typeof places;
