import type { Client } from "@libsql/client";
import type { Connection } from "./connection.ts";
import { isRefusal, isUnexplainedClosing } from "./driver-symptoms.ts";
import { translateError, type Attempt } from "./error-translation.ts";
import { createHttpClient, type ServerConfig } from "./http-client.ts";
import { separateToken, type ParsedOpenOptions } from "./open-options.ts";
import { PrimaryPosition } from "./primary-position.ts";
import { ReadReplica } from "./read-replica.ts";
import { RemoteConnection } from "./remote-connection.ts";
import { defaultTimeoutMs } from "./timeouts.ts";
import { WebSocketClient } from "./web-socket-client.ts";

/** A client, and what the store knows of it beyond what a client tells. */
export interface OpenedClient {
  readonly client: Client;
  /** Absent where the client is enough. */
  readonly connection?: Connection;
  /** True when the copy of an embedded replica was opened without its primary: nothing can be migrated. */
  readonly isOffline?: boolean;
}

/**
 * A client for the options: our own for local databases, that of `@libsql/client` for servers and embedded
 * replicas. What is local is loaded when it is needed, so that a remote store loads no native module; bundles for
 * edge runtimes find no-local-clients.ts under `#local-clients`.
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
      return { client: openLocalClient(options) };
    }
    return await (/^wss?:/.test(url) ? openWebSocket(options) : openHttp(options));
  } catch (error) {
    throw translateError(error, "read");
  }
}

async function openHttp(options: ParsedOpenOptions): Promise<OpenedClient> {
  const { url, authToken, readUrl, timeoutMs = defaultTimeoutMs } = options;
  const config = separateToken(url, authToken);
  if (readUrl === undefined) {
    const client = createHttpClient(config, timeoutMs, null);
    return { client, connection: new RemoteConnection(client, { timeoutMs }) };
  }
  const position = new PrimaryPosition();
  const client = createHttpClient(config, timeoutMs, position);
  const replica = new ReadReplica(separateToken(readUrl, authToken), position, timeoutMs);
  try {
    await replica.open();
  } catch (error) {
    client.close();
    throw error;
  }
  return { client, connection: new RemoteConnection(client, { timeoutMs, replica }) };
}

async function openWebSocket({
  url,
  authToken,
  timeoutMs = defaultTimeoutMs,
}: ParsedOpenOptions): Promise<OpenedClient> {
  const config = separateToken(url, authToken);
  const client = new WebSocketClient(config, timeoutMs);
  const explain = (error: unknown, attempt: Attempt) => explainClosing(error, attempt, config);
  try {
    await client.execute("select 1");
  } catch (error) {
    client.close();
    throw await explain(error, "read");
  }
  return { client, connection: new RemoteConnection(client, { timeoutMs, explain }) };
}

/**
 * A server closes a WebSocket without a word when it refuses the token, the database or the permission. Over
 * HTTP it says which: the same is asked there, with statements that change nothing.
 */
async function explainClosing(
  error: unknown,
  attempt: Attempt,
  config: ServerConfig,
): Promise<unknown> {
  if (!isUnexplainedClosing(error)) return error;
  const url = config.url.replace(/^ws/, "http");
  const client = createHttpClient({ ...config, url }, explanationTimeoutMs, null);
  try {
    // SQLite refuses to change its own table; a server that allows no writes refuses before.
    await client.execute(attempt === "write" ? "delete from sqlite_schema where 0" : "select 1");
    return error;
  } catch (refusal) {
    return isRefusal(refusal) ? refusal : error;
  } finally {
    client.close();
  }
}

const explanationTimeoutMs = 2000;
