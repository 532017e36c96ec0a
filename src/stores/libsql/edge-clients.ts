import { UnsupportedError } from "../../errors.ts";
import type * as clients from "./clients.ts";

// The variant of clients.ts for edge runtimes, chosen by `imports` in package.json. Its imports are static, which lets
// bundlers omit unused code.

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
