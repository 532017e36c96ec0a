import { setTimeout as sleep } from "node:timers/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { Engine } from "../../src/engine/engine.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import type { OpenOptions } from "../../src/stores/libsql/open-options.ts";
import { startProxy } from "../support/loopback-proxy.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { startLyingProxy, startLyingSocketProxy } from "./support/lying-proxy.ts";

let server: Sqld;
beforeAll(async () => {
  server = await startSqld();
  await (await LibSQLStore.open(server.httpUrl)).close();
});
afterAll(() => server.stop());

async function open(options: OpenOptions): Promise<LibSQLStore> {
  const store = await LibSQLStore.open(options);
  onTestFinished(() => store.close());
  return store;
}

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

async function lyingProxy() {
  const proxy = await startLyingProxy(server.port);
  onTestFinished(() => proxy.close());
  return proxy;
}

describe("a server that has too many requests", () => {
  test("is left alone for as long as it asks, by every call", async () => {
    const proxy = await lyingProxy();
    const store = await open({ url: proxy.url });
    proxy.requestedAt.length = 0;
    proxy.lies.push("429 with seconds");
    const first = store.countRuns();
    await sleep(300);
    await Promise.all([first, store.countRuns(), store.createRun({ workflowId: "w" })]);
    const [asked = 0, ...later] = proxy.requestedAt;
    expect(later.length).toBe(3);
    for (const at of later) expect(at - asked).toBeGreaterThanOrEqual(990);
  });

  test("and never ends to say so is not asked for longer than a call may take", async () => {
    const proxy = await lyingProxy();
    const store = await open({ url: proxy.url, timeoutMs: 2_500 });
    proxy.constantLie = "429 with seconds";
    proxy.requestedAt.length = 0;
    const startedAt = performance.now();
    expect(await failureOf(store.countRuns())).toMatchObject({
      code: "STORE_CONNECTION",
      outcome: "none",
      retryable: true,
      message: expect.stringContaining("too many requests") as string,
    });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect(proxy.requestedAt.length).toBeLessThanOrEqual(3);
  });

  test.each([
    ["a date", () => new Date(Date.now() + 2_000).toUTCString(), 900],
    ["seconds", () => "1", 990],
    ["nonsense", () => "soon", 0],
    ["no time at all", () => "0", 0],
  ])("may ask by %s", async (_, header, leastMs) => {
    const askedAt: number[] = [];
    const listener = createServer((_request, response) => {
      askedAt.push(performance.now());
      const isFirst = askedAt.length === 1;
      response.writeHead(isFirst ? 429 : 401, isFirst ? { "retry-after": header() } : {}).end();
    });
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    onTestFinished(() => void listener.close());
    const { port } = listener.address() as AddressInfo;
    const store = await LibSQLStore.open({ url: server.httpUrl });
    await store.close();
    const { RemoteConnection } = await import("../../src/stores/sqlite/connections/remote.ts");
    const { createHttpClient } = await import("../../src/stores/libsql/http-client.ts");
    const client = createHttpClient({ url: `http://127.0.0.1:${port}` }, 5_000, null);
    const statement = { sql: "select 1", args: [], runId: null } as never;
    const failure = await failureOf(new RemoteConnection(client).read([statement]));
    client.close();
    expect(failure).toMatchObject({ code: "STORE_CONNECTION", retryable: false });
    const [first = 0, second = 0] = askedAt;
    expect(second - first).toBeGreaterThanOrEqual(leastMs);
    expect(askedAt).toHaveLength(2);
  });
});

describe.each(["httpUrl", "webSocketUrl"] as const)("over %s", (protocol) => {
  test("calls about one run take effect in the order in which they were made", async () => {
    const store = await open({ url: server[protocol] });
    const id = (name: string) => `${protocol}-${name}`;
    void store.createRun({ runId: id("a"), workflowId: "w" });
    await store.batch((write) => write.createStepExecution({ runId: id("a"), stepId: "s" }));

    void store.batch((write) => write.createRun({ runId: id("b"), workflowId: "w" }));
    void store.batch((write) => write.saveState(id("b"), "k", 1, { expectedRevision: 0 }));
    void store.saveState(id("b"), "k", 2, { expectedRevision: 1 });
    await store.batch((write) => write.saveState(id("b"), "k", 3, { expectedRevision: 2 }));
    expect(await store.loadState(id("b"), "k")).toBe(3);

    void store.transaction((tx) => tx.createRun({ runId: id("c"), workflowId: "w" }));
    void store.updateRun(id("c"), { progress: 0.5 }, { expectedRevision: 1 });
    const progress = await store.transaction(async (tx) => (await tx.getRun(id("c"))).progress);
    expect(progress).toBe(0.5);
    await store.deleteRun(id("c"));
  });

  test("batches about different runs do not wait for each other", async () => {
    const proxy = await startProxy(server.port);
    onTestFinished(() => proxy.close());
    const store = await open({ url: proxy[protocol] });
    const runs = await Promise.all(
      Array.from({ length: 10 }, () => store.createRun({ workflowId: "w" })),
    );
    proxy.latencyMs = 200;
    const startedAt = performance.now();
    await Promise.all(
      runs.map(({ runId }) => store.batch((write) => write.saveState(runId, "k", 1))),
    );
    expect(performance.now() - startedAt).toBeLessThan(1_500);
  });

  test("a write that was aborted while it waited is never sent", async () => {
    const proxy = await startProxy(server.port);
    onTestFinished(() => proxy.close());
    const store = await open({ url: proxy[protocol] });
    const { runId } = await store.createRun({ workflowId: "w" });
    const controller = new AbortController();
    const { signal } = controller;
    // Writes behind one that is under way, batches behind a write of their run, transactions behind both.
    proxy.stalled = true;
    const first = store.saveState(runId, "first", 1);
    await sleep(50);
    const aborted = [
      store.saveState(runId, "queued", 1, { signal }),
      store.batch((write) => write.saveState(runId, "batch", 1), { signal }),
      store.transaction((tx) => tx.saveState(runId, "transaction", 1), { signal }),
    ].map(failureOf);
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await Promise.all(aborted)).toEqual([reason, reason, reason]);
    proxy.stalled = false;
    await first;
    await store.saveState(runId, "last", 1);
    expect(await store.getAllState(runId)).toEqual({ first: 1, last: 1 });
  });

  test("a write that was aborted while its server was down is never sent", async () => {
    const crashing = await startSqld();
    onTestFinished(() => crashing.stop());
    const store = await open({ url: crashing[protocol] });
    const { runId } = await store.createRun({ workflowId: "w" });
    await crashing.kill();
    const controller = new AbortController();
    const { signal } = controller;
    const write = failureOf(store.createRun({ workflowId: "w" }, { signal }));
    await sleep(300);
    controller.abort();
    expect(await write).toMatchObject({ name: "AbortError" });
    await crashing.restart();
    await sleep(1_000);
    expect((await store.listRuns()).runs.map((run) => run.runId)).toEqual([runId]);
  });

  test("an engine reports a server that accepts and never answers; another server's runs continue", async () => {
    const proxy = await startProxy(server.port);
    onTestFinished(() => proxy.close());
    const wedged = await open({ url: proxy[protocol], timeoutMs: 1_000 });
    const other = await open({ url: server[protocol] });
    const step = defineStep({
      id: "s",
      input: z.number(),
      output: z.number(),
      run: (n) => n + 1,
    });
    const workflow = defineWorkflow({ id: `wedged-${protocol}` })
      .step(step)
      .build();
    const said: string[] = [];
    const note = (_fields: object, message: string) => void said.push(message);
    const logger = { debug: () => undefined, info: () => undefined, warn: note, error: note };
    const engine = new Engine(wedged, { logger });
    const healthy = new Engine(other);
    onTestFinished(async () => {
      await Promise.all([engine.close(), healthy.close()]);
    });
    engine.register(workflow);
    const runId = await engine.start(workflow, 1);
    proxy.stalled = true;
    void engine.work();
    // Whoever waits is told, and so is the log.
    expect(await failureOf(engine.wait(runId))).toMatchObject({ code: "STORE_CONNECTION" });
    await expect.poll(() => said.length, { timeout: 30_000 }).toBeGreaterThan(0);
    const elsewhere = defineWorkflow({ id: `healthy-${protocol}` })
      .step(step)
      .build();
    expect(await healthy.run(elsewhere, 1)).toMatchObject({ status: "COMPLETED", output: 2 });
    proxy.stalled = false;
    await expect
      .poll(async () => (await other.getRun(runId)).status, { timeout: 30_000 })
      .toBe("COMPLETED");
  });
});

test("a server over a WebSocket that never completes the connection ends every call in time", async () => {
  const proxy = await startLyingSocketProxy(server.port);
  onTestFinished(() => proxy.close());
  const store = await open({ url: proxy.url, timeoutMs: 500 });
  proxy.isSilent = true;
  for (let call = 0; call < 3; call++) {
    const startedAt = performance.now();
    expect(await failureOf(store.countRuns())).toMatchObject({ code: "STORE_CONNECTION" });
    const through = store.db.run("select 1").then(
      () => null,
      (error: unknown) => error,
    );
    expect(await through).toBeInstanceOf(Error);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  }
  expect(await failureOf(LibSQLStore.open({ url: proxy.url, timeoutMs: 500 }))).toMatchObject({
    code: "STORE_CONNECTION",
  });
  proxy.isSilent = false;
  await expect.poll(() => failureOf(store.countRuns()), { timeout: 10_000 }).toBe(null);
});
