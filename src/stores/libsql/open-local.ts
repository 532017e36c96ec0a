import { drizzle } from "drizzle-orm/libsql/sqlite3";
import { createClient } from "../../client/create-client.ts";
import { createReader, type Reader, type ReaderLimits } from "../../client/reader.ts";
import type { OpenedClient } from "./open-client.ts";
import type { ParsedOpenOptions } from "./open-options.ts";

/** Opens our own client, for a file or for memory. */
export function openLocalClient(options: ParsedOpenOptions): OpenedClient {
  const { url, encryptionKey, durability, journalMode, busyTimeoutMs, readOnly } = options;
  const client = createClient({
    url,
    encryptionKey,
    durability,
    journalMode,
    busyTimeoutMs,
    readOnly,
  });
  let reader: Reader | null = null;
  const reporting = {
    open: (limits: ReaderLimits) =>
      (reader ??= createReader({ url, encryptionKey, busyTimeoutMs })).with(limits),
    close: () => reader?.close(),
  };
  return { client, drizzle, reporting };
}
