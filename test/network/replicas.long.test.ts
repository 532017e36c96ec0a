import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer as createTcpServer } from "node:net";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { schema } from "../../src/schema/schema.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import type { OpenOptions } from "../../src/stores/libsql/open-options.ts";
import { copyStore } from "../../src/transfer/copy-store.ts";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { longestHold } from "../support/event-loop.ts";
import { startProxy } from "../support/loopback-proxy.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";
import { createTokenIssuer } from "../support/tokens.ts";
import { startLyingProxy } from "./support/lying-proxy.ts";

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

/** A server in front of the primary, or of another one, whose answers have this replication index, or none. */
async function answeringWith(
  given: string | null | { index: string },
  { httpUrl } = primary,
): Promise<string> {
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const answer = await fetch(`${httpUrl}${request.url ?? ""}`, {
        method: request.method ?? "POST",
        headers: {
          "content-type": "application/json",
          authorization: request.headers.authorization ?? "",
        },
        ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
      });
      const text = await answer.text();
      const index = given === null || typeof given === "string" ? given : given.index;
      response.writeHead(answer.status, { "content-type": "application/json" });
      response.end(
        text.replaceAll(
          /"replication_index":"\d+"/g,
          `"replication_index":${JSON.stringify(index)}`,
        ),
      );
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
    for (let read = 0; read < 20; read++) {
      const startedAt = performance.now();
      await store.countRuns();
      // Opening has waited for the time limit of a second; a read waits for the primary only.
      expect(performance.now() - startedAt).toBeLessThan(900);
    }
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
        { timeout: 30_000, interval: 200 },
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
    const store = await open({ url: await answeringWith(null), readUrl: replica.httpUrl });
    frames.stalled = true;
    const { runId } = await store.createRun({ workflowId: "w" });
    for (let revision = 2; revision < 5; revision++) {
      await store.updateRun(runId, { progress: revision / 10 });
      expect((await store.getRun(runId)).revision).toBe(revision);
    }
    await store.db.run(`update workflow_runs set progress = 0.9 where run_id = '${runId}'`);
    expect((await store.getRun(runId)).progress).toBe(0.9);
  });

  test("is not asked for what was written, if the log of a crashed primary has restarted and the same index", async () => {
    const old = await startSqld({ publicKey: issuer.publicKey });
    onTestFinished(() => old.stop());
    const { runId } = await (await open({ url: primary.httpUrl })).createRun({ workflowId: "w" });
    await copyStore(await open({ url: primary.httpUrl }), await open({ url: old.httpUrl }));
    const url = await answeringWith("100");
    const store = await open({ url, readUrl: await answeringWith("100", old) });
    expect((await store.getRun(runId)).revision).toBe(1);
    await store.updateRun(runId, { progress: 0.5 });
    expect((await store.getRun(runId)).revision).toBe(2);
  });

  test("is not asked for what was written, if it has the log between two crashes of the primary", async () => {
    const old = await startSqld({ publicKey: issuer.publicKey });
    onTestFinished(() => old.stop());
    const { runId } = await (await open({ url: primary.httpUrl })).createRun({ workflowId: "w" });
    await copyStore(await open({ url: primary.httpUrl }), await open({ url: old.httpUrl }));
    const [ofPrimary, ofReplica] = [{ index: "20" }, { index: "20" }];
    const store = await open({
      url: await answeringWith(ofPrimary),
      readUrl: await answeringWith(ofReplica, old),
    });
    expect((await store.getRun(runId)).revision).toBe(1);
    let revision = 1;
    const writeAt = async (index: string) => {
      ofPrimary.index = index;
      await store.updateRun(runId, { progress: 0.5 });
      revision += 1;
      expect((await store.getRun(runId)).revision).toBe(revision);
    };
    await writeAt("10");
    await writeAt("14");
    ofReplica.index = "14";
    await writeAt("12");
    // It has the log after the second crash when its index falls again.
    ofReplica.index = "12";
    await expect.poll(async () => (await store.getRun(runId)).revision).toBe(1);
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

  test("leaves no timer behind when reads wait for a sync", async () => {
    const store = await open({ url: folder.database("timers.db"), syncUrl: primary.httpUrl });
    const timers = () =>
      process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const { runId } = await store.createRun({ workflowId: "w" });
    await store.getRun(runId);
    const before = timers();
    for (let revision = 2; revision <= 11; revision++) {
      await store.updateRun(runId, { progress: revision / 20 });
      expect((await store.getRun(runId)).revision).toBe(revision);
    }
    expect(timers()).toBeLessThan(before + 5);
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

  test.each(["/info", "/wal_log.ReplicationLog/Hello", "/wal_log.ReplicationLog/BatchLogEntries"])(
    "whose primary stalls in the middle of %s ends every call in time, and holds up nothing",
    async (stalledPath) => {
      const proxy = await startLyingProxy(primary.port);
      onTestFinished(() => proxy.close());
      const url = folder.database(`stalled-${stalledPath.split("/").at(-1)}.db`);
      const options = { url, syncUrl: proxy.url, timeoutMs: 1_000 };
      const first = await open({ ...options, timeoutMs: 10_000 });
      const { runId } = await first.createRun({ workflowId: "w" });
      await first.getRun(runId);
      await first.close();

      const timed = async (call: () => Promise<unknown>) => {
        const startedAt = performance.now();
        await call();
        // A call may wait for the time limit once. The rest is for a busy machine.
        expect(performance.now() - startedAt).toBeLessThan(1_900);
      };
      proxy.stalledPath = stalledPath;
      const hold = await longestHold(async () => {
        let store: LibSQLStore | undefined;
        await timed(async () => (store = await open(options)));
        if (store === undefined) return;
        const opened = store;
        await timed(() => opened.getRun(runId));
        await timed(() => opened.saveState(runId, "k", 1));
        await timed(async () => expect(await opened.loadState(runId, "k")).toBe(1));
        await timed(async () =>
          expect(await failureOf(opened.sync())).toMatchObject({
            code: "STORE_CONNECTION",
            retryable: true,
          }),
        );
        await timed(async () => expect(await opened.loadState(runId, "k")).toBe(1));
        const where = eq(schema.workflowState.runId, runId);
        await timed(async () =>
          expect(await opened.db.query.workflowState.findFirst({ where })).toMatchObject({
            key: "k",
          }),
        );
        proxy.stalledPath = null;
        await expect.poll(() => failureOf(opened.sync()), { timeout: 10_000 }).toBe(null);
        const answers = proxy.requestedAt.length;
        expect(await opened.loadState(runId, "k")).toBe(1);
        expect(proxy.requestedAt.length).toBe(answers);
      });
      expect(hold).toBeLessThan(300);
    },
    30_000,
  );

  test("does not keep a process alive while its primary stalls", async () => {
    const program = await compileProgram(`${import.meta.dirname}/programs/sync-and-exit.ts`);
    const store = await open({ url: primary.httpUrl });
    const cases = [
      ["process.exit", "/wal_log.ReplicationLog/BatchLogEntries"],
      ["store.close", "/wal_log.ReplicationLog/BatchLogEntries"],
      ["process.exit", "/info"],
    ] as const;
    await Promise.all(
      cases.map(async ([exits, stalledPath], index) => {
        const proxy = await startLyingProxy(primary.port);
        onTestFinished(() => proxy.close());
        const url = folder.database(`exit-${index}.db`);
        const args = [url, proxy.url, authToken, exits];
        const { ended, message, send } = startProgram<string>(program, args);
        await message((said) => said === "opened");
        proxy.stalledPath = stalledPath;
        await store.createRun({ workflowId: "w" });
        const startedAt = performance.now();
        send("sync");
        expect((await ended).code).toBe(0);
        expect(performance.now() - startedAt).toBeLessThan(5_000);
      }),
    );
  });

  test("answers whole snapshots while frames are fetched", async () => {
    const store = await open({ url: folder.database("hammer.db"), syncUrl: primary.httpUrl });
    const other = await open({ url: primary.httpUrl });
    await other.db.run("create table pairs (id integer primary key, a integer, b integer)");
    await other.db.run("insert into pairs values (1, 0, 0)");
    await store.sync();
    let reads = 0;
    let isWriting = true;
    const reader = async () => {
      for (let last = 0; isWriting; reads++) {
        const { rows } = await store.db.$client.execute("select a, b from pairs");
        const [{ a, b } = { a: null, b: undefined }] = rows;
        expect(a).toBe(b);
        expect(Number(a)).toBeGreaterThanOrEqual(last);
        last = Number(a);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    const reading = [reader(), reader()];
    for (let n = 1; n <= 60; n++) {
      await other.db.run(`update pairs set a = ${n}, b = ${n}`);
      await store.sync();
    }
    isWriting = false;
    await Promise.all(reading);
    expect(reads).toBeGreaterThan(60);
  });
});
