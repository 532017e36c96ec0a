import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { startProxy, type LoopbackProxy } from "../../support/loopback-proxy.ts";
import { startSqld, type Sqld } from "../../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../../support/temporary.ts";

let primary: Sqld;
let folder: TemporaryFolder;
beforeEach(async () => {
  primary = await startSqld();
  folder = await temporaryFolder();
});
afterEach(async () => {
  await primary.stop();
  await folder.remove();
});

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

describe("a read replica", () => {
  let toPrimary: LoopbackProxy;
  let frames: LoopbackProxy;
  let replica: Sqld;
  let store: LibSQLStore;
  beforeEach(async () => {
    toPrimary = await startProxy(primary.port);
    frames = await startProxy(primary.grpcPort);
    replica = await startSqld({ primaryGrpcPort: frames.port });
    store = await LibSQLStore.open({ url: toPrimary.httpUrl, readUrl: replica.httpUrl });
  });
  afterEach(async () => {
    await store.close();
    await replica.stop();
    await frames.close();
    await toPrimary.close();
  });

  /** Reads until one did not go to the primary. */
  const untilReplicaAnswers = (runId: string, reader = store) =>
    vi.waitFor(async () => {
      toPrimary.roundTrips = 0;
      await reader.getRun(runId);
      expect(toPrimary.roundTrips).toBe(0);
    }, 10_000);

  test("answers what it has, and the primary what was written and it does not have yet", async () => {
    const { runId } = await store.createRun({ workflowId: "w" });
    await untilReplicaAnswers(runId);
    frames.stalled = true;
    for (let revision = 2; revision < 6; revision++) {
      await store.updateRun(runId, { progress: revision / 10 });
      expect((await store.getRun(runId)).revision).toBe(revision);
    }
    expect(toPrimary.roundTrips).toBeGreaterThan(4);
    frames.stalled = false;
    await untilReplicaAnswers(runId);
  });

  test("never answers with less than was written, whether a crashed primary begins its log anew or not", async () => {
    const { runId } = await store.createRun({ workflowId: "w" });
    await untilReplicaAnswers(runId);
    for (let revision = 2; revision < 40; revision++) {
      if (revision % 10 === 0) await primary.restart();
      await store.updateRun(runId, { progress: 0.5 }).catch(async () => {
        // Nobody knows; what is there now counts.
        await store.updateRun(runId, { progress: 0.5 }, { expectedRevision: revision - 1 });
      });
      expect((await store.getRun(runId)).revision).toBe(revision);
    }
  });

  // A replica that is behind when it starts passes all questions on to its primary, until it has what that had then.
  test("that has passed questions on to the primary does not answer with less afterwards", async () => {
    const inFront = await startProxy(replica.port);
    const reader = await LibSQLStore.open({
      url: toPrimary.httpUrl,
      readUrl: inFront.httpUrl,
      timeoutMs: 2_000,
    });
    try {
      const { runId } = await reader.createRun({ workflowId: "w" });
      await untilReplicaAnswers(runId, reader);
      frames.stalled = true;
      inFront.targetPort = primary.port;
      inFront.cutAll();
      await reader.updateRun(runId, { progress: 0.5 });
      toPrimary.roundTrips = 0;
      expect((await reader.getRun(runId)).revision).toBe(2);
      expect(toPrimary.roundTrips).toBe(0);
      inFront.targetPort = replica.port;
      inFront.cutAll();
      // The first of them may meet the connection that was cut.
      for (let read = 0; read < 3; read++) {
        expect((await reader.getRun(runId)).revision).toBe(2);
      }
      frames.stalled = false;
      await untilReplicaAnswers(runId, reader);
    } finally {
      await reader.close();
      await inFront.close();
    }
  });

  test("that is away is not missed", async () => {
    const { runId } = await store.createRun({ workflowId: "w" });
    await replica.kill();
    expect((await store.getRun(runId)).runId).toBe(runId);
  });
});

describe("an embedded replica", () => {
  const open = (others: { syncIntervalSeconds?: number } = {}) =>
    LibSQLStore.open({ url: folder.database(), syncUrl: primary.httpUrl, ...others });

  test("has at once what is written through it, and after sync what others have written", async () => {
    const store = await open();
    const other = await LibSQLStore.open(primary.httpUrl);
    const { runId } = await store.createRun({ workflowId: "w" });
    expect((await store.getRun(runId)).runId).toBe(runId);
    await other.saveState(runId, "k", "by another");
    expect(await store.getAllState(runId)).toEqual({});
    await store.sync();
    expect(await store.getAllState(runId)).toEqual({ k: "by another" });
    await other.close();
    await store.close();
  });

  test("fetches what others have written by itself, when it is told how often", async () => {
    const store = await open({ syncIntervalSeconds: 0.05 });
    const other = await LibSQLStore.open(primary.httpUrl);
    await other.createRun({ workflowId: "w" });
    await expect.poll(() => store.countRuns(), { timeout: 10_000 }).toMatchObject({ PENDING: 1 });
    await other.close();
    await store.close();
  });

  test("answers while its primary is away, and when it is opened then; writes wait for it", async () => {
    const first = await open();
    const { runId } = await first.createRun({ workflowId: "w", input: { n: 1 } });
    await first.getRun(runId);
    await primary.kill();
    expect((await first.getRun(runId)).input).toEqual({ n: 1 });
    expect(await failureOf(first.sync())).toMatchObject({ code: "STORE_CONNECTION" });
    await first.close();

    const second = await open();
    expect((await second.getRun(runId)).input).toEqual({ n: 1 });
    expect((await second.db.query.workflowRuns.findMany()).length).toBe(1);
    const write = second.saveState(runId, "k", 1);
    await primary.restart();
    await write;
    expect(await second.getAllState(runId)).toEqual({ k: 1 });
    await second.close();
  });

  test("that was never opened with its primary there cannot be opened without it", async () => {
    await primary.kill();
    expect(await failureOf(open())).toMatchObject({ code: "STORE_CONNECTION", retryable: true });
  });

  test("whose file lacks what a read asks for fails as any database does", async () => {
    const store = await open();
    const { runId } = await store.createRun({ workflowId: "w" });
    await store.db.run("drop table step_attempts");
    await store.sync();
    expect(await failureOf(store.listStepAttempts(runId))).toMatchObject({
      code: "SCHEMA_OUT_OF_DATE",
    });
    await store.close();
  });

  test("takes any number of operations at once", async () => {
    const store = await open();
    const results = await Promise.all(
      Array.from({ length: 60 }, async (_, n) => {
        const { runId } = await store.createRun({ workflowId: "w" });
        if (n % 3 === 0) await store.transaction((tx) => tx.saveState(runId, "k", n));
        else if (n % 3 === 1) await store.batch((write) => write.saveState(runId, "k", n));
        else await store.saveState(runId, "k", n);
        return (await store.loadState(runId, "k")) === n;
      }),
    );
    expect(results.every(Boolean)).toBe(true);
    await store.close();
  });

  test("is needed for sync", async () => {
    for (const url of [primary.httpUrl, primary.webSocketUrl, folder.database("plain.db")]) {
      const store = await LibSQLStore.open(url);
      expect(await failureOf(store.sync())).toMatchObject({ code: "UNSUPPORTED" });
      await store.close();
    }
  });
});

test.each([
  [{ url: "ws://127.0.0.1", readUrl: "http://127.0.0.1" }, "readUrl"],
  [{ url: "http://127.0.0.1", readUrl: "ws://127.0.0.1" }, "readUrl"],
  [{ url: "http://127.0.0.1", syncUrl: "http://127.0.0.1" }, "syncUrl"],
  [{ url: "http://127.0.0.1", timeoutMs: 0 }, "timeoutMs"],
])("options that do not fit each other are refused by name: %o", async (options, name) => {
  const failure = await failureOf(LibSQLStore.open(options));
  expect(failure).toMatchObject({ code: "INVALID_ARGUMENT" });
  expect((failure as { argument: string }).argument).toContain(name);
});
