import type { OpenedClient } from "./open-client.ts";
import type { ParsedOpenOptions } from "./open-options.ts";

// Each kind of client is loaded when it is opened, so a store on a server loads no native module, and a store on a file
// no network client. Bundles for edge runtimes use edge-clients.ts instead. See `imports` in package.json.

export async function openLocalClient(options: ParsedOpenOptions): Promise<OpenedClient> {
  return (await import("./open-local.ts")).openLocalClient(options);
}

export async function openEmbeddedReplica(
  syncUrl: string,
  options: ParsedOpenOptions,
): Promise<OpenedClient> {
  return (await import("./open-embedded-replica.ts")).openEmbeddedReplica(syncUrl, options);
}

export async function openServer(options: ParsedOpenOptions): Promise<OpenedClient> {
  return (await import("./open-server.ts")).openServer(options);
}
