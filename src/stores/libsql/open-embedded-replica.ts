import { drizzle } from "drizzle-orm/libsql/sqlite3";
import { LocalCopy } from "../../client/local-copy.ts";
import type { ReaderLimits } from "../../client/reader.ts";
import { StoreConnectionError } from "../../errors.ts";
import { createReplicaClient, EmbeddedReplica } from "./embedded-replica.ts";
import { createHttpClient, limitClient } from "./http-client.ts";
import type { OpenedClient } from "./open-client.ts";
import { separateToken, type ParsedOpenOptions } from "./open-options.ts";
import { PrimaryPosition } from "./primary-position.ts";
import { RemoteConnection } from "../sqlite/connections/remote.ts";
import { defaultTimeoutMs } from "../sqlite/connections/timeouts.ts";

/**
 * A client whose file is a copy of the database at `syncUrl`. The copy is synced first. If the primary cannot be
 * reached, an existing copy is used unchanged.
 */
export async function openEmbeddedReplica(
  syncUrl: string,
  options: ParsedOpenOptions,
): Promise<OpenedClient> {
  const { url, authToken, encryptionKey, timeoutMs = defaultTimeoutMs } = options;
  const { url: primaryUrl, ...token } = separateToken(syncUrl, authToken);
  const position = new PrimaryPosition();
  const primary = createHttpClient({ url: primaryUrl, ...token }, timeoutMs, position);
  const copy = new LocalCopy({
    url,
    syncUrl: primaryUrl,
    ...token,
    ...(encryptionKey !== undefined && { encryptionKey }),
    timeoutMs,
  });
  const replica = new EmbeddedReplica(copy, primary, position, timeoutMs);
  let isOffline = false;
  try {
    await replica.sync();
  } catch (error) {
    isOffline = error instanceof StoreConnectionError && error.retryable && copy.exists;
    if (!isOffline) {
      primary.close();
      copy.close();
      throw error;
    }
  }
  const stopSyncing = syncEvery(options.syncIntervalSeconds, replica);
  const close = () => {
    stopSyncing();
    primary.close();
    copy.close();
  };
  const client = createReplicaClient(replica, () => copy.client, primary, close);
  const reporting = {
    open: (limits: ReaderLimits) =>
      createReplicaClient(
        replica,
        () => copy.reader.with(limits),
        limitClient(primary, limits),
        close,
      ),
    close: () => undefined,
  };
  const connection = new RemoteConnection(primary, { timeoutMs, replica });
  return { client, drizzle, connection, reporting, isOffline };
}

/** Returns a function that stops it. It does not keep the process alive. */
function syncEvery(seconds: number | undefined, replica: EmbeddedReplica): () => void {
  if (seconds === undefined) return () => undefined;
  const timer = setInterval(() => {
    // If the primary cannot be reached, the copy is synced at the next interval.
    void replica.sync().catch(() => undefined);
  }, seconds * 1000);
  timer.unref();
  return () => clearInterval(timer);
}
