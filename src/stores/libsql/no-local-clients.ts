import { UnsupportedError } from "../../errors.ts";
import type {
  openEmbeddedReplica as openReplica,
  openLocalClient as openLocal,
} from "./local-clients.ts";

// Bundles for edge runtimes have this module in the place of local-clients.ts: see `imports` in package.json.

export const openLocalClient: typeof openLocal = () => {
  throw new UnsupportedError({
    feature: "local databases",
    reason:
      "an edge runtime has no files: give the URL of a server (libsql:, http:, https:, ws: or wss:), or memory: to openStore",
  });
};

export const openEmbeddedReplica: typeof openReplica = async () => {
  throw new UnsupportedError({
    feature: "syncUrl",
    reason: "an edge runtime has no files, and an embedded replica is one: open the server itself",
  });
};
