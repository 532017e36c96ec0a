import { openEmbeddedReplica, openLocalClient, openServer } from "#clients";
import type { Client } from "@libsql/client";
import type { ReaderLimits } from "../../client/reader.ts";
import type { drizzle } from "drizzle-orm/libsql/web";
import type { Connection } from "../sqlite/connections/connection.ts";
import { translateError } from "../sqlite/errors/translate.ts";
import type { ParsedOpenOptions } from "./open-options.ts";

interface ReportingClients {
  /** @throws {UnsupportedError} for a database in memory. */
  open(limits: ReaderLimits): Client;
  close(): void;
}

/** A client, and how to use it. */
export interface OpenedClient {
  readonly client: Client;
  /** The `drizzle` of the module for this client. Each module loads another binding. */
  readonly drizzle: typeof drizzle;
  /** Defaults to a connection that is made from the client alone. */
  readonly connection?: Connection;
  /** Clients for long queries, which do not block other callers. */
  readonly reporting: ReportingClients;
  /** True if the copy of an embedded replica was opened without its primary. It cannot be migrated then. */
  readonly isOffline?: boolean;
}

/** Opens our own client for a local database, and a client of `@libsql/client` for a server. */
export async function openClient(options: ParsedOpenOptions): Promise<OpenedClient> {
  const { url, syncUrl } = options;
  try {
    if (syncUrl !== undefined) return await openEmbeddedReplica(syncUrl, options);
    const isLocal = url === ":memory:" || url.startsWith("file:");
    return await (isLocal ? openLocalClient(options) : openServer(options));
  } catch (error) {
    throw translateError(error, "read");
  }
}
