import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { expect } from "vitest";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import type { StartedCommand } from "../support/command-line.ts";
import { migratedDatabase } from "../support/databases.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand } from "./support.ts";

const command = setUpCommand();

/** The link that the command prints, as JSON. */
function linkOf({ process: child, ended }: StartedCommand): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (chunk: string) => {
      text += chunk;
      if (text.endsWith("}\n")) resolve((JSON.parse(text) as { url: string }).url);
    });
    void ended.then(({ stderr }) => reject(new Error(stderr)));
  });
}

test("gorkflow studio serves the page with a token until it is interrupted", async ({ folder }) => {
  const database = await migratedDatabase(folder);
  const store = await LibSQLStore.open(database);
  const { runId } = await store.createRun({ workflowId: "w" });
  const studio = command.start(["studio", "-d", database, "--port", "0", "--json"]);
  const url = new URL(await linkOf(studio));
  expect(url.hostname).toBe("127.0.0.1");
  const page = await fetch(url);
  expect(await page.text()).toContain("assets/studio.js");
  expect((await fetch(url.origin)).status).toBe(401);
  const authorization = `Bearer ${url.searchParams.get("token")}`;
  const cancelled = await fetch(new URL("/api/cancel", url), {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: JSON.stringify({ runId }),
  });
  expect(cancelled.status).toBe(200);
  expect((await store.getRun(runId)).status).toBe("CANCELLED");
  const live = await fetch(new URL("/api/live", url), { headers: { authorization } });
  expect(live.headers.get("content-type")).toBe("text/event-stream");
  studio.process.kill("SIGINT");
  const { code, stderr } = await studio.ended;
  expect(code).toBe(130);
  expect(stderr).not.toContain(authorization.slice("Bearer ".length));
  await live.body?.cancel().catch(() => undefined);
  await store.close();
});

test("gorkflow studio --read-only changes nothing in the file", async ({ folder }) => {
  const database = await migratedDatabase(folder);
  const studio = command.start(["studio", "-d", database, "--port", "0", "--read-only", "--json"]);
  const url = new URL(await linkOf(studio));
  const headers = { authorization: `Bearer ${url.searchParams.get("token")}` };
  const meta = await fetch(new URL("/api/meta", url), { headers });
  expect(await meta.json()).toEqual({ readOnly: true, hasReports: true, workflows: [] });
  const report = await fetch(new URL("/api/report?name=queue", url), { headers });
  expect(await report.json()).toMatchObject({ rows: [] });
  const refused = await fetch(new URL("/api/bulk", url), {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ action: "delete", filter: {}, dryRun: true }),
  });
  expect(refused.status).toBe(403);
  studio.process.kill("SIGTERM");
  expect((await studio.ended).code).toBe(143);
});

test("gorkflow studio says what to do about a port in use, and about a missing file", async ({
  folder,
}) => {
  const database = await migratedDatabase(folder);
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const busy = await command.run(["studio", "-d", database, "--port", String(port)]);
  taken.close();
  expect(busy.code).toBe(1);
  expect(busy.stderr).toContain(`cannot listen on 127.0.0.1, port ${port} (EADDRINUSE)`);
  expect(busy.stderr).toContain("--port 0");
  const missing = await command.run(["studio", "-d", "file:./absent.db", "--port", "0"]);
  expect(missing.code).toBe(1);
  expect((await command.run(["studio", "-d", database, "--port", "70000"])).code).toBe(2);
});
