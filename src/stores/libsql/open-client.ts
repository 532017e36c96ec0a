import type { Client } from "@libsql/client";
import type { drizzle } from "drizzle-orm/libsql/web";
import type { Connection } from "./connection.ts";
import { translateError } from "./error-translation.ts";
import type { ParsedOpenOptions } from "./open-options.ts";

/** A client, and what the store knows of it beyond what a client tells. */
export interface OpenedClient {
  readonly client: Client;
  /** Drizzle for this client: its module for servers loads a network client, the one for files the native binding. */
  readonly drizzle: typeof drizzle;
  /** Absent if the client is enough. */
  readonly connection?: Connection;
  /** True when the copy of an embedded replica was opened without its primary: nothing can be migrated. */
  readonly isOffline?: boolean;
}

/**
 * A client for the options: our own for local databases, that of `@libsql/client` for servers and embedded
 * replicas.
 *
 * Each kind is loaded when it is opened, so that a store on a server loads no native module and a store on a file no
 * network client. Bundles for edge runtimes find no-local-clients.ts under `#local-clients`.
 */
export async function openClient(options: ParsedOpenOptions): Promise<OpenedClient> {
  const { url, syncUrl } = options;
  try {
    if (syncUrl !== undefined) {
      const { openEmbeddedReplica } = await import("#local-clients");
      return await openEmbeddedReplica(syncUrl, options);
    }
    if (url === ":memory:" || url.startsWith("file:")) {
      const { openLocalClient } = await import("#local-clients");
      return openLocalClient(options);
    }
    const { openServer } = await import("./open-server.ts");
    return await openServer(options);
  } catch (error) {
    throw translateError(error, "read");
  }
}
