import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer as createTcpServer } from "node:net";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import type { OpenOptions } from "../../src/stores/libsql/open-options.ts";
import { startProxy } from "../support/loopback-proxy.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";
import { createTokenIssuer } from "../support/tokens.ts";

const issuer = createTokenIssuer();
const authToken = issuer.issue({ a: "rw" });
const wrongToken = createTokenIssuer().issue({ a: "rw" });

let primary: Sqld;
let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
  primary = await startSqld({ publicKey: issuer.publicKey });
});
afterAll(async () => {
  await primary.stop();
  await folder.remove();
});

async function open(options: Omit<OpenOptions, "authToken">): Promise<LibSQLStore> {
  const store = await LibSQLStore.open({ ...options, authToken });
  onTestFinished(() => store.close());
  return store;
}

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

/** Warnings of the process while the test runs. */
function warnings(): string[] {
  const said: string[] = [];
  const note = (warning: Error) => said.push(warning.message);
  process.on("warning", note);
  onTestFinished(() => void process.off("warning", note));
  return said;
}

/** A server in front of the primary that takes the replication index out of every answer. */
async function withoutIndex(): Promise<string> {
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const answer = await fetch(`${primary.httpUrl}${request.url ?? ""}`, {
        method: request.method ?? "POST",
        headers: {
          "content-type": "application/json",
          authorization: request.headers.authorization ?? "",
        },
        ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
      });
      const text = await answer.text();
      response.writeHead(answer.status, { "content-type": "application/json" });
      response.end(text.replaceAll(/"replication_index":"\d+"/g, '"replication_index":null'));
    })();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("a read replica", () => {
  test("that accepts and never answers costs one wait, is reported, and is used again when it answers", async () => {
    const said = warnings();
    const proxy = await startProxy(primary.port);
    onTestFinished(() => proxy.close());
    proxy.stalled = true;
    const store = await open({
      url: primary.httpUrl,
      readUrl: proxy.httpUrl,
      timeoutMs: 1_000,
    });
    const startedAt = performance.now();
    for (let read = 0; read < 20; read++) await store.countRuns();
    expect(performance.now() - startedAt).toBeLessThan(900);
    await expect.poll(() => said).toEqual([expect.stringMatching(/replica is left out/)]);
    proxy.stalled = false;
    proxy.cutAll();
    await expect
      .poll(
        async () => {
          proxy.roundTrips = 0;
          await store.countRuns();
          await store.countRuns();
          return proxy.roundTrips;
        },
        { timeout: 15_000, interval: 200 },
      )
      .toBe(2);
  });

  test("that refuses the token is an error at opening, which names it and not the token", async () => {
    const readUrl = `${primary.httpUrl}?authToken=${wrongToken}`;
    const failure = await failureOf(LibSQLStore.open({ url: primary.httpUrl, authToken, readUrl }));
    expect(failure).toMatchObject({
      code: "STORE_CONNECTION",
      message: expect.stringMatching(/^readUrl: .*auth token/) as string,
    });
    expect((failure as Error).message).not.toContain(wrongToken);
  });

  test("that nobody listens at does not keep a store from being opened", async () => {
    const listener = createTcpServer();
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    listener.close();
    await once(listener, "close");
    const said = warnings();
    const store = await open({ url: primary.httpUrl, readUrl: `http://127.0.0.1:${port}` });
    const { runId } = await store.createRun({ workflowId: "w" });
    expect((await store.getRun(runId)).runId).toBe(runId);
    await expect.poll(() => said.length).toBe(1);
  });

  test("of servers that do not say how far they are is not used after a write", async () => {
    const frames = await startProxy(primary.grpcPort);
    onTestFinished(() => frames.close());
    const replica = await startSqld({
      publicKey: issuer.publicKey,
      primaryGrpcPort: frames.port,
    });
    onTestFinished(() => replica.stop());
    const store = await open({ url: await withoutIndex(), readUrl: replica.httpUrl });
    frames.stalled = true;
    const { runId } = await store.createRun({ workflowId: "w" });
    for (let revision = 2; revision < 5; revision++) {
      await store.updateRun(runId, { progress: revision / 10 });
      expect((await store.getRun(runId)).revision).toBe(revision);
    }
    await store.db.run(`update workflow_runs set progress = 0.9 where run_id = '${runId}'`);
    expect((await store.getRun(runId)).progress).toBe(0.9);
  });
});

describe("an embedded replica", () => {
  test("has all that was acknowledged before sync was called, while another sync is under way", async () => {
    const url = folder.database("sync.db");
    const store = await open({ url, syncUrl: primary.httpUrl });
    const other = await open({ url: primary.httpUrl });
    for (let round = 0; round < 15; round++) {
      const first = store.sync();
      const { runId } = await other.createRun({ workflowId: "w" });
      await store.sync();
      await first;
      expect((await store.getRun(runId)).runId).toBe(runId);
    }
  });

  test("in a folder with a space and a percent sign is opened without its primary", async () => {
    const away = await startSqld();
    onTestFinished(() => away.stop());
    const path = join(folder.path, "a b 100%");
    await mkdir(path);
    const options = {
      url: `file:${encodeURI(join(path, "copy.db"))}`,
      syncUrl: away.httpUrl,
      timeoutMs: 2_000,
    };
    const first = await LibSQLStore.open(options);
    const { runId } = await first.createRun({ workflowId: "w" });
    await first.getRun(runId);
    await first.close();
    await away.kill();
    const second = await LibSQLStore.open(options);
    onTestFinished(() => second.close());
    expect((await second.getRun(runId)).runId).toBe(runId);
  });

  test("whose primary accepts and never answers ends every call in time", async () => {
    const proxy = await startProxy(primary.port);
    onTestFinished(() => proxy.close());
    // The binding waits for its primary in this thread, so that a proxy of this process can only stand before requests.
    const url = folder.database("wedged.db");
    const first = await open({ url, syncUrl: primary.httpUrl });
    const { runId } = await first.createRun({ workflowId: "w" });
    await first.getRun(runId);
    await first.close();
    proxy.stalled = true;
    const store = await open({ url, syncUrl: proxy.httpUrl, timeoutMs: 500 });
    const startedAt = performance.now();
    expect((await store.getRun(runId)).runId).toBe(runId);
    expect(await failureOf(store.saveState(runId, "k", 1))).toMatchObject({ outcome: "unknown" });
    expect(await failureOf(store.sync())).toMatchObject({ code: "STORE_CONNECTION" });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    proxy.cutAll();
  });
});
