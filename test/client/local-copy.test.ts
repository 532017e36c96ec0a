import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { LocalCopy } from "../../src/client/local-copy.ts";
import { temporaryFolder } from "../support/temporary.ts";

test("a copy that is closed while its primary is asked starts no sync", async () => {
  const folder = await temporaryFolder();
  const server = createServer((_, answer) => answer.end("{}"));
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await folder.remove();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const syncUrl = `libsql://127.0.0.1:${port}?tls=0`;
  const copy = new LocalCopy({ url: folder.database(), syncUrl, timeoutMs: 2000 });
  const syncing = copy.sync();
  copy.close();
  await expect(syncing).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
  expect(copy.isOnline).toBe(false);
});
