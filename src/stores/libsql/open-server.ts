import type { Client } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql/web";
import { isRefusal, isUnexplainedClosing } from "../sqlite/errors/symptoms.ts";
import type { Attempt } from "../sqlite/errors/translate.ts";
import { createHttpClient, limitClient, type ServerConfig } from "./http-client.ts";
import type { OpenedClient } from "./open-client.ts";
import { separateToken, type ParsedOpenOptions } from "./open-options.ts";
import { PrimaryPosition } from "./primary-position.ts";
import { ReadReplica } from "./read-replica.ts";
import { RemoteConnection, type RemoteOptions } from "../sqlite/connections/remote.ts";
import { defaultTimeoutMs } from "../sqlite/connections/timeouts.ts";
import { WebSocketClient } from "./web-socket-client.ts";

/** Opens a client of a libSQL server, over HTTP or WebSocket. */
export function openServer(options: ParsedOpenOptions): Promise<OpenedClient> {
  return /^wss?:/.test(options.url) ? openWebSocket(options) : openHttp(options);
}

function opened(client: Client, options: RemoteOptions): OpenedClient {
  return {
    client,
    drizzle,
    connection: new RemoteConnection(client, options),
    reporting: { open: (limits) => limitClient(client, limits), close: () => undefined },
  };
}

async function openHttp(options: ParsedOpenOptions): Promise<OpenedClient> {
  const { url, authToken, readUrl, timeoutMs = defaultTimeoutMs } = options;
  const config = separateToken(url, authToken);
  if (readUrl === undefined) {
    const client = createHttpClient(config, timeoutMs, null);
    return opened(client, { timeoutMs });
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
  return opened(client, { timeoutMs, replica });
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
  return opened(client, { timeoutMs, explain });
}

/**
 * The reason why a server closed a WebSocket. A server that rejects the token, the database or the permission closes the
 * WebSocket without a reason, but reports it over HTTP, so a statement that changes nothing is sent there.
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
    // SQLite rejects changes of its own table. A server that does not allow writes rejects the statement earlier.
    await client.execute(attempt === "write" ? "delete from sqlite_schema where 0" : "select 1");
    return error;
  } catch (refusal) {
    return isRefusal(refusal) ? refusal : error;
  } finally {
    client.close();
  }
}

const explanationTimeoutMs = 2000;
