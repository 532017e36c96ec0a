import { createClient, type Client } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { createClient as createLocalClient } from "../../../src/client/create-client.ts";
import { migrate } from "../../../src/migrations/migrate.ts";
import { startSqld } from "../../support/sqld.ts";
import { temporaryFolder } from "../../support/temporary.ts";

/** A table of the app's. */
export const orders = sqliteTable("orders", {
  orderId: text("order_id").primaryKey(),
  runId: text("run_id"),
});

export const ordersDefinition = "create table orders (order_id text primary key, run_id text)";

interface Place {
  readonly client: Client;
  release(): Promise<void>;
}

async function inFile(create: (url: string) => Client): Promise<Place> {
  const folder = await temporaryFolder();
  return { client: create(folder.database()), release: () => folder.remove() };
}

async function onServer(url: "httpUrl" | "webSocketUrl"): Promise<Place> {
  const server = await startSqld();
  return { client: createClient({ url: server[url] }), release: () => server.stop() };
}

const places = {
  "a file, by our client": () => inFile((url) => createLocalClient(url)),
  "a file, by @libsql/client": () => inFile((url) => createClient({ url })),
  "a server, over HTTP": () => onServer("httpUrl"),
  "a server, over WebSocket": () => onServer("webSocketUrl"),
} satisfies Record<string, () => Promise<Place>>;

export type PlaceName = keyof typeof places;
export const placeNames = Object.keys(places) as PlaceName[];

/** An app's own Drizzle database, which the app has migrated. */
export async function openHostDatabase(name: PlaceName) {
  const { client, release } = await places[name]();
  await migrate(client);
  await client.execute(ordersDefinition);
  return {
    db: drizzle({ client, schema: { orders } }),
    async close() {
      client.close();
      await release();
    },
  };
}

export type HostDatabase = Awaited<ReturnType<typeof openHostDatabase>>;
