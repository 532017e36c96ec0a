import { UnsupportedError } from "../../errors.ts";
import type * as clients from "./clients.ts";

// Bundles for edge runtimes have this module in the place of clients.ts: see `imports` in package.json. What it needs
// is imported at once, so that bundlers leave out what is not used.

export { openServer } from "./open-server.ts";

export const openLocalClient: typeof clients.openLocalClient = async () => {
  throw new UnsupportedError({
    feature: "local databases",
    reason:
      "an edge runtime has no files: give the URL of a server (libsql:, http:, https:, ws: or wss:), or memory: to openStore",
  });
};

export const openEmbeddedReplica: typeof clients.openEmbeddedReplica = async () => {
  throw new UnsupportedError({
    feature: "syncUrl",
    reason: "an edge runtime has no files, and an embedded replica is one: open the server itself",
  });
};
