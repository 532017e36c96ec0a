import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { StoreConnectionError } from "../../../src/errors.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { emptyDatabase } from "../../support/databases.ts";
import { startProxy, type LoopbackProxy } from "../../support/loopback-proxy.ts";
import { startSqld, type Sqld } from "../../support/sqld.ts";

let server: Sqld;
beforeAll(async () => {
  server = await startSqld();
});
afterAll(() => server.stop());

const outcomeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "done",
    (error: StoreConnectionError) => `${error.code} ${error.outcome}`,
  );

describe.each(["httpUrl", "webSocketUrl"] as const)("over %s", (protocol) => {
  let proxy: LoopbackProxy;
  let store: LibSQLStore;
  beforeEach(async () => {
    proxy = await startProxy(server.port);
    store = await LibSQLStore.open({ url: proxy[protocol], timeoutMs: 15_000 });
    await emptyDatabase(store.db);
  });
  afterEach(async () => {
    await store.close();
    await proxy.close();
  });

  test.each(["before", "after"] as const)(
    "a read that is cut off %s it was answered is asked again",
    async (when) => {
      const { runId } = await store.createRun({ workflowId: "w" });
      const cut = proxy.cutNext(when);
      expect((await store.getRun(runId)).runId).toBe(runId);
      await cut;
    },
  );

  test.each(["before", "after"] as const)(
    "a run under a new id, or with a key, is made once when it is cut off %s it was written",
    async (when) => {
      const cut = proxy.cutNext(when);
      const runs = await Promise.all([
        store.createRun({ workflowId: "w", input: { n: 1 } }),
        store.createRun({ workflowId: "w", idempotencyKey: "key" }),
      ]);
      await cut;
      const found = await store.listRuns({ payloads: true });
      const byId = (a: { runId: string }, b: { runId: string }) => a.runId.localeCompare(b.runId);
      expect(found.runs.toSorted(byId)).toEqual(runs.toSorted(byId));
    },
  );

  test("a lease that is extended is extended, though the answer was lost", async () => {
    const { runId } = await store.createRun({ workflowId: "w" });
    await store.claimRuns({ workerId: "worker", leaseMs: 1000, limit: 1 });
    const cut = proxy.cutNext("after");
    const expiry = await store.extendLease({ runId, workerId: "worker", leaseMs: 60_000 });
    await cut;
    expect((await store.getRun(runId)).leaseExpiresAt).toEqual(expiry);
  });

  test.each(["before", "after"] as const)(
    "any other write that is cut off %s it was written says that nobody knows, and is sent once",
    async (when) => {
      const { runId } = await store.createRun({ workflowId: "w" });
      for (const write of [
        () => store.updateRun(runId, { progress: 0.5 }),
        () => store.saveState(runId, "k", 1),
        () => store.batch((batch) => batch.saveState(runId, "l", 1)),
        () => store.createRun({ runId: "chosen", workflowId: "w" }),
      ]) {
        // The connection is there when the write is sent.
        await store.getRun(runId);
        const cut = proxy.cutNext(when);
        expect(await outcomeOf(write())).toBe("STORE_CONNECTION unknown");
        await cut;
      }
      const written = when === "after";
      expect((await store.getRun(runId)).revision).toBe(written ? 2 : 1);
      expect(await store.getAllState(runId)).toEqual(written ? { k: 1, l: 1 } : {});
      expect(await outcomeOf(store.getRun("chosen"))).toBe(
        written ? "done" : "RUN_NOT_FOUND undefined",
      );
    },
  );

  test("writes that share a round trip learn each for itself whether it is known", async () => {
    const { runId } = await store.createRun({ workflowId: "w" });
    const cut = proxy.cutNext("after");
    const outcomes = await Promise.all([
      outcomeOf(store.createRun({ workflowId: "w" })),
      outcomeOf(store.saveState(runId, "k", 1)),
    ]);
    await cut;
    expect(outcomes).toEqual(["done", "STORE_CONNECTION unknown"]);
    expect((await store.listRuns()).runs).toHaveLength(2);
  });

  test("a transaction whose commit is cut off says that nobody knows; one cut off earlier is undone", async () => {
    const { runId } = await store.createRun({ workflowId: "w" });
    const late = store.transaction(async (tx) => {
      await tx.saveState(runId, "late", 1);
      void proxy.cutNext("after");
    });
    expect(await outcomeOf(late)).toBe("STORE_CONNECTION unknown");
    const early = store.transaction(async (tx) => {
      await tx.saveState(runId, "early", 1);
      proxy.cutAll();
      await tx.saveState(runId, "early", 2);
    });
    expect(await outcomeOf(early)).toBe("STORE_CONNECTION none");
    expect(await store.getAllState(runId)).toEqual({ late: 1 });
  });

  test("an answer that does not come in time ends the call, and the next one is answered", async () => {
    await store.close();
    store = await LibSQLStore.open({ url: proxy[protocol], timeoutMs: 200 });
    const { runId } = await store.createRun({ workflowId: "w" });
    proxy.stalled = true;
    const write = await store.saveState(runId, "k", 1).catch((error: unknown) => error);
    expect(write).toMatchObject({ code: "STORE_CONNECTION", outcome: "unknown", retryable: true });
    expect((write as Error).message).toMatch(/did not answer/);
    const read = outcomeOf(store.getRun(runId));
    proxy.stalled = false;
    expect(await read).toBe("done");
    expect(await outcomeOf(store.saveState(runId, "k", 2))).toBe("done");
  });

  test("an answer that drips in is read to its end", async () => {
    const { runId } = await store.createRun({ workflowId: "w", input: "x".repeat(2000) });
    proxy.dripBytes = 100;
    expect((await store.getRun(runId)).input).toHaveLength(2000);
  });

  test("every operation ends when its signal is aborted, however long the server takes", async () => {
    const { runId } = await store.createRun({ workflowId: "w" });
    proxy.stalled = true;
    const controller = new AbortController();
    const { signal } = controller;
    const calls = [
      store.getRun(runId, { signal }),
      store.listRuns({ signal }),
      store.createRun({ workflowId: "w" }, { signal }),
      store.saveState(runId, "k", 1, { signal }),
      store.claimRuns({ workerId: "a", leaseMs: 1, limit: 1, signal }),
      store.batch((write) => write.saveState(runId, "l", 1), { signal }),
      store.transaction((tx) => tx.countRuns(), { signal }),
    ].map((call) => call.catch((error: unknown) => error));
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await Promise.all(calls)).toEqual(calls.map(() => reason));
    proxy.stalled = false;
    expect((await store.getRun(runId)).runId).toBe(runId);
  });

  test("a transaction that is held while another writer waits is ended by the server, and says so", async () => {
    const { runId } = await store.createRun({ workflowId: "w" });
    const other = await LibSQLStore.open(server[protocol]);
    const held = store.transaction(async (tx) => {
      await tx.saveState(runId, "k", 1);
      await Promise.all([other.saveState(runId, "other", 1), sleep(5500)]);
      await tx.saveState(runId, "k", 2);
    });
    await expect(held).rejects.toMatchObject({
      code: "STORE_CONNECTION",
      outcome: "none",
      retryable: true,
      message: expect.stringMatching(/the transaction is over: .* it has 5 seconds/) as string,
    });
    expect(await store.getAllState(runId)).toEqual({ other: 1 });
    await other.close();
  });
});

describe.each(["httpUrl", "webSocketUrl"] as const)("over %s", (protocol) => {
  test("a store outlives the crash of its server; what is sent meanwhile waits for it", async () => {
    const crashing = await startSqld();
    const store = await LibSQLStore.open(crashing[protocol]);
    const { runId } = await store.createRun({ workflowId: "w" });
    await crashing.kill();
    const calls = [
      store.getRun(runId),
      store.createRun({ workflowId: "w" }),
      store.saveState(runId, "sent while it was away", 1),
    ].map(outcomeOf);
    await crashing.restart();
    const outcomes = await Promise.all(calls);
    // Over a WebSocket that had been open the third may have been sent.
    expect(outcomes.slice(0, 2)).toEqual(["done", "done"]);
    expect(["done", "STORE_CONNECTION unknown"]).toContain(outcomes[2]);
    expect((await store.listRuns()).runs).toHaveLength(2);
    await store.close();
    await crashing.stop();
  });

  test("a write that may have been written is not said to be refused, when its server is away after that", async () => {
    const crashing = await startSqld();
    const proxy = await startProxy(crashing.port);
    const store = await LibSQLStore.open(proxy[protocol]);
    await store.countRuns();
    const cut = proxy.cutNext("after");
    const outcome = outcomeOf(store.createRun({ workflowId: "w" }));
    await cut;
    await crashing.kill();
    await proxy.close();
    expect(await outcome).toBe("STORE_CONNECTION unknown");
    await store.close();
    await crashing.stop();
  });
});
