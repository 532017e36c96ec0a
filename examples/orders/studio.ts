import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { LibSQLStore } from "gorkflow";
import { createStudio } from "gorkflow/studio";

/** Serves the studio on a free port until Ctrl-C. Without `authorize`, it answers only this computer. */
export async function showStudio(store: LibSQLStore): Promise<void> {
  const { fetch } = createStudio(store);
  const server = createAdaptorServer({ fetch, overrideGlobalObjects: false });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  console.log(`\nThe studio is at http://localhost:${port}/ until you press Ctrl-C.`);
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  server.close();
  if ("closeAllConnections" in server) server.closeAllConnections();
}
