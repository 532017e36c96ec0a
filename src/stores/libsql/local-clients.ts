import { createClient as createClientOfLibsql, type Client } from "@libsql/client";
import { createClient } from "../../client/create-client.ts";
import type { ParsedOpenOptions } from "./open-options.ts";

/** Our own client, for a file or for memory. */
export function openLocalClient(options: ParsedOpenOptions): Client {
  const { url, encryptionKey, durability, busyTimeoutMs } = options;
  return createClient({ url, encryptionKey, durability, busyTimeoutMs });
}

/** A client whose file is a copy of the database at `syncUrl`, brought up to date. */
export async function openEmbeddedReplica(
  syncUrl: string,
  { url, authToken, encryptionKey, syncIntervalSeconds }: ParsedOpenOptions,
): Promise<Client> {
  const client = createClientOfLibsql({
    url,
    syncUrl,
    ...(authToken !== undefined && { authToken }),
    ...(encryptionKey !== undefined && { encryptionKey }),
    ...(syncIntervalSeconds !== undefined && { syncInterval: syncIntervalSeconds }),
  });
  await client.sync();
  return client;
}
