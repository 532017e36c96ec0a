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

/** A client, and what the store knows of it beyond what a client tells. */
export interface OpenedClient {
  readonly client: Client;
  /** Drizzle for this client: its module for servers loads a network client, the one for files the native binding. */
  readonly drizzle: typeof drizzle;
  /** Absent if the client is enough. */
  readonly connection?: Connection;
  /** For reports: a client that may read for long without keeping others waiting. */
  readonly reporting: ReportingClients;
  /** True when the copy of an embedded replica was opened without its primary: nothing can be migrated. */
  readonly isOffline?: boolean;
}

/**
 * A client for the options: our own for local databases, that of `@libsql/client` for servers and embedded
 * replicas.
 */
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
