import type { Client } from "@libsql/client";
import { isLocalClient } from "../../../client/local-client.ts";
import type { Driver } from "../../../drivers/driver.ts";
import type { Connection } from "./connection.ts";
import { D1Connection } from "./d1.ts";
import { ExclusiveConnection } from "./exclusive.ts";
import { LocalConnection } from "./local.ts";
import { RemoteConnection } from "./remote.ts";
import { SyncConnection } from "./sync.ts";

/** By client, because two stores on one client share its queue. */
const connections = new WeakMap<object, Connection>();

/** Sets the connection of a client that was opened with more options than can be found from the client. */
export function setConnection(client: Client, connection: Connection): void {
  connections.set(client, connection);
}

/** The connection for the client of a Drizzle database. */
export function connect(driver: Driver): Connection {
  if (driver.kind === "d1") return new D1Connection(driver.client);
  const key = driver.kind === "libsql" ? driver.client : driver.database;
  const known = connections.get(key);
  if (known !== undefined) return known;
  const connection =
    driver.kind === "libsql" ? connectClient(driver.client) : new SyncConnection(driver.database);
  connections.set(key, connection);
  return connection;
}

function connectClient(client: Client): Connection {
  if (isLocalClient(client)) return new LocalConnection(client);
  return client.protocol === "file"
    ? new ExclusiveConnection(client)
    : new RemoteConnection(client);
}
