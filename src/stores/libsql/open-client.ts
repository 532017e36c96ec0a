import type { Client } from "@libsql/client";
import { translateError } from "./error-translation.ts";
import type { ParsedOpenOptions } from "./open-options.ts";

/**
 * A client for the options: our own for local databases, that of `@libsql/client` for servers and embedded
 * replicas. Each is loaded when it is needed, so that a remote store loads no native module; bundles for edge
 * runtimes find no-local-clients.ts under `#local-clients`.
 */
export async function openClient(options: ParsedOpenOptions): Promise<Client> {
  const { url, authToken, syncUrl } = options;
  try {
    if (syncUrl !== undefined) {
      const { openEmbeddedReplica } = await import("#local-clients");
      return await openEmbeddedReplica(syncUrl, options);
    }
    if (url === ":memory:" || url.startsWith("file:")) {
      const { openLocalClient } = await import("#local-clients");
      return openLocalClient(options);
    }
    const { createClient } = await import("@libsql/client/web");
    return createClient({ url, ...(authToken !== undefined && { authToken }) });
  } catch (error) {
    throw translateError(error, "read");
  }
}
