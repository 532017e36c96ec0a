import type { Client } from "@libsql/client";
import { translateError } from "./error-translation.ts";
import type { ParsedOpenOptions } from "./open-options.ts";

/**
 * A client for the options: our own for local databases, that of `@libsql/client` for servers and embedded
 * replicas. Each is loaded when it is needed, so that a remote store loads no native module.
 */
export async function openClient(options: ParsedOpenOptions): Promise<Client> {
  const { url, authToken, syncUrl, encryptionKey } = options;
  try {
    if (syncUrl !== undefined) {
      const { createClient } = await import("@libsql/client");
      const client = createClient({
        url,
        syncUrl,
        ...(authToken !== undefined && { authToken }),
        ...(encryptionKey !== undefined && { encryptionKey }),
        ...(options.syncIntervalSeconds !== undefined && {
          syncInterval: options.syncIntervalSeconds,
        }),
      });
      await client.sync();
      return client;
    }
    if (url === ":memory:" || url.startsWith("file:")) {
      const { createClient } = await import("../../client/create-client.ts");
      const { durability, busyTimeoutMs } = options;
      return createClient({ url, encryptionKey, durability, busyTimeoutMs });
    }
    const { createClient } = await import("@libsql/client/web");
    return createClient({ url, ...(authToken !== undefined && { authToken }) });
  } catch (error) {
    throw translateError(error, "read");
  }
}
