// The store on a synchronous SQLite library, whose one connection it shares with the app.
import type { Database } from "better-sqlite3";
import { drizzle as drizzleOnLibSQL } from "drizzle-orm/libsql";
import { drizzle as drizzleProxy } from "drizzle-orm/sqlite-proxy";
import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, vi } from "vitest";
import { z } from "zod";
import { createClient } from "../../../src/client/create-client.ts";
import { defineStep } from "../../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../../src/engine/definition/workflow-builder.ts";
import { doctor } from "../../../src/migrations/doctor/doctor.ts";
import { migrationStatus } from "../../../src/migrations/journal.ts";
import { migrate } from "../../../src/migrations/migrate.ts";
import { throughput } from "../../../src/reports/throughput.ts";
import { workflowRuns } from "../../../src/schema/tables.ts";
import { hasHostTransactions } from "../../../src/store/transactions.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../../src/stores/memory/memory-store.ts";
import { SQLiteStore } from "../../../src/stores/sqlite/sqlite-store.ts";
import { compareStores } from "../../../src/transfer/compare-stores.ts";
import { copyStore } from "../../../src/transfer/copy-store.ts";
import { makeEngine } from "../../engine/support/engines.ts";
import { drizzleOn, openBetterSQLite3 } from "../../support/better-sqlite3.ts";
import { longestHold } from "../../support/event-loop.ts";
import { test as base } from "../../support/fixtures.ts";

const orders = sqliteTable("orders", { orderId: text("order_id").primaryKey() });

/** A migrated database of better-sqlite3 with a table of the app. */
const test = base.extend("app", async ({ folder }, { onCleanup }) => {
  const file = `${folder.path}/app.db`;
  const clients: Database[] = [];
  const open = () => {
    const client = openBetterSQLite3(file);
    clients.push(client);
    return client;
  };
  const client = open();
  onCleanup(() => clients.forEach((each) => each.close()));
  const db = drizzleOn(client);
  await migrate(db);
  client.exec("create table orders (order_id text primary key)");
  return { open, client, db, store: new SQLiteStore(db) };
});

const run = (runId: string) => ({ runId, workflowId: "w" });

describe("the driver", () => {
  test("is found by Drizzle's class, and an unknown one is refused with the list", () => {
    const proxy = drizzleProxy(async () => ({ rows: [] }));
    for (const db of [proxy, {}, null, Object.assign(proxy, { $client: {} })]) {
      expect(() => new SQLiteStore(db as never)).toThrow(
        expect.objectContaining({ code: "INVALID_ARGUMENT", argument: "db" }),
      );
    }
    expect(() => new SQLiteStore(proxy)).toThrow(/libsql, better-sqlite3, node-sqlite.*bun-sqlite/);
  });

  test("is libSQL only for LibSQLStore", ({ app }) => {
    expect(() => new LibSQLStore(app.db as never)).toThrow(/on a libSQL client. `SQLiteStore`/);
  });

  test("may be libSQL, whose transactions the store shares", async ({ folder }) => {
    const client = createClient(folder.database());
    await migrate(client);
    const db = drizzleOnLibSQL({ client });
    const store = new SQLiteStore(db);
    expect(hasHostTransactions(store)).toBe(true);
    await db.transaction(async (tx) => store.withTransaction(tx).createRun(run("r")));
    expect(await store.getRun("r")).toMatchObject({ status: "PENDING" });
    expect(store).not.toBeInstanceOf(LibSQLStore);
    client.close();
  });
});

test("foreign keys that are off are refused until the app enables them", async ({ app }) => {
  app.client.exec("pragma foreign_keys = off");
  await expect(app.store.createRun(run("r"))).rejects.toMatchObject({ code: "UNSUPPORTED" });
  app.client.exec("pragma foreign_keys = on");
  expect(await app.store.createRun(run("r"))).toMatchObject(run("r"));
});

test("a connection whose writes return their counts is refused", async ({ app }) => {
  await app.store.createRun(run("r"));
  app.client.exec("pragma count_changes = on");
  const store = new SQLiteStore(app.db);
  await expect(store.createRun(run("r"))).rejects.toMatchObject({
    code: "UNSUPPORTED",
    feature: "pragma count_changes",
  });
  app.client.exec("pragma count_changes = off");
  await expect(store.createRun(run("r"))).rejects.toMatchObject({ code: "RUN_ALREADY_EXISTS" });
});

test.for(["3.42.1", "3.9.3"])(
  "SQLite %s is refused before anything is written",
  async (version, { app }) => {
    const prepare = app.client.prepare.bind(app.client);
    vi.spyOn(app.client, "prepare").mockImplementation((sql: string) =>
      prepare(sql === "select sqlite_version()" ? `select '${version}'` : sql),
    );
    await expect(app.store.createRun(run("r"))).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining(`SQLite ${version}`),
    });
    expect(app.client.prepare("select * from workflow_runs").all()).toEqual([]);
  },
);

test("writes wait while the app has foreign keys off for its own migration", async ({ app }) => {
  const { client, store } = app;
  await store.createRun(run("r"));
  await store.saveState("r", "k", 1);
  client.exec("pragma foreign_keys = off");
  const writes = [store.deleteRun("r"), store.transaction((tx) => tx.createRun(run("s")))];
  let settled = 0;
  for (const write of writes) void write.then(() => (settled += 1));
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(await store.getRun("r")).toMatchObject(run("r"));
  expect(settled).toBe(0);
  client.exec("pragma foreign_keys = on");
  await Promise.all(writes);
  expect(client.prepare("select count(*) from workflow_state").raw().get()).toEqual([0]);
  expect(await store.getRun("s")).toMatchObject(run("s"));
});

test("writes that have waited as long for foreign keys are refused together", async ({ app }) => {
  const { client, store } = app;
  await store.countRuns();
  client.exec("pragma foreign_keys = off");
  const writes = ["r", "s"].map((runId) => store.createRun(run(runId)));
  void writes[0]?.catch(() => client.exec("pragma foreign_keys = on"));
  await new Promise((resolve) => setTimeout(resolve, 30));
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + 6000);
  const settled = await Promise.allSettled(writes);
  vi.restoreAllMocks();
  const refused = { status: "rejected", reason: { code: "UNSUPPORTED" } };
  expect(settled).toMatchObject([refused, refused]);
});

test("calls that have waited as long for the lock of another connection are refused together", async ({
  app,
}) => {
  const { open, store } = app;
  await store.createRun(run("r"));
  const other = open();
  other.exec("begin immediate");
  const attempts: string[] = [];
  const transactions = ["s", "t", "u"].map((runId) =>
    store.transaction(async (tx) => {
      attempts.push(runId);
      await tx.createRun(run(runId));
    }),
  );
  const batch = store.batch((write) => write.createRun(run("v")));
  await vi.waitFor(() => expect(attempts).toEqual(["s"]));
  await new Promise((resolve) => setTimeout(resolve, 30));
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + 6000);
  const settled = await Promise.allSettled([...transactions, batch]);
  vi.restoreAllMocks();
  const busy = { status: "rejected", reason: { code: "STORE_BUSY" } };
  expect(settled).toMatchObject([busy, busy, busy, busy]);
  // The others did not begin, to wait once more.
  expect(attempts).toEqual(["s"]);
  other.exec("commit");
  expect(await store.createRun(run("s"))).toMatchObject(run("s"));
});

test("missing tables are named until the app migrates", async ({ folder }) => {
  const client = openBetterSQLite3(`${folder.path}/new.db`);
  const db = drizzleOn(client);
  const store = new SQLiteStore(db);
  await expect(store.getRun("r")).rejects.toMatchObject({ code: "SCHEMA_OUT_OF_DATE" });
  expect(await migrationStatus(db)).toMatchObject({ state: "empty" });
  expect((await migrate(db)).applied).toHaveLength((await migrationStatus(db)).applied.length);
  expect(await migrate(db)).toEqual({ applied: [] });
  expect(await doctor(db)).toEqual({ healthy: true, findings: [] });
  expect(await store.findRun("r")).toBeNull();
  client.close();
});

test("a migration keeps the foreign keys of the connection, and waits for no transaction", async ({
  app,
}) => {
  const pragma = () => app.client.prepare("pragma foreign_keys").raw().get();
  expect(pragma()).toEqual([1]);
  app.client.exec("drop table __gorkflow_migrations; begin");
  await expect(migrate(app.db)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  app.client.exec("rollback");
  expect(pragma()).toEqual([1]);
});

describe("in the app's synchronous transaction", () => {
  test("statements commit with the app's rows", async ({ app }) => {
    const { db, store } = app;
    db.transaction((tx) => {
      tx.insert(orders).values({ orderId: "o" }).run();
      store.statements.createRun(run("r")).run();
      store.statements.saveState("r", "k", 1).run();
      store.statements.guard().run();
    });
    expect(await store.getAllState("r")).toEqual({ k: 1 });
    expect(db.select().from(orders).all()).toHaveLength(1);
  });

  test("a failed guard rolls back the app's rows", async ({ app }) => {
    const { db, store } = app;
    await store.createRun(run("r"));
    expect(() =>
      db.transaction((tx) => {
        tx.insert(orders).values({ orderId: "o" }).run();
        store.statements.createRun(run("r")).run();
        store.statements.guard().run();
      }),
    ).toThrow(/gorkflow_guard/);
    expect(db.select().from(orders).all()).toEqual([]);
  });

  test("operations of the store wait for its end, so its rollback does not undo them", async ({
    app,
  }) => {
    const { db, store } = app;
    await store.createRun(run("before"));
    const calls: Promise<unknown>[] = [];
    expect(() =>
      db.transaction((tx) => {
        tx.insert(workflowRuns).values(run("rolled back")).run();
        calls.push(
          store.createRun(run("kept")),
          store.findRun("rolled back"),
          store.getRun("before"),
        );
        throw new Error("mine");
      }),
    ).toThrow("mine");
    const [, found] = await Promise.all(calls);
    expect(found).toBeNull();
    expect((await store.listRuns()).runs.map(({ runId }) => runId)).toEqual(["kept", "before"]);
  });

  test("a worker of the store takes the run that the transaction has started", async ({ app }) => {
    const step = defineStep({ id: "s", input: z.unknown(), output: z.string(), run: () => "done" });
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    const engine = makeEngine(app.store).register(workflow);
    // @ts-expect-error the transaction is not asynchronous
    const started = engine.start(workflow, 1, { tx: app.db });
    await expect(started).rejects.toMatchObject({
      code: "UNSUPPORTED",
    });
    app.db.transaction((tx) => {
      tx.insert(orders).values({ orderId: "o" }).run();
      app.store.statements.createRun({ ...run("r"), input: 1 }).run();
    });
    expect(await engine.wait("r")).toMatchObject({ status: "COMPLETED", output: "done" });
    expect(throughput(app.db).all()).toMatchObject([{ workflowId: "w", created: 1 }]);
    await engine.close();
  });
});

test("a transaction that the app leaves open makes operations wait", async ({ app }) => {
  const { client, store } = app;
  await store.createRun(run("first"));
  client.exec("begin");
  const calls = [store.createRun(run("second")), store.getRun("first")];
  let settled = 0;
  for (const call of calls) void call.then(() => (settled += 1));
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(settled).toBe(0);
  client.exec("rollback");
  await Promise.all(calls);
  expect(await store.countRuns()).toMatchObject({ PENDING: 2 });
});

test("writes of one turn share a commit, in order", async ({ app }) => {
  const { client, store } = app;
  await store.countRuns();
  const commits: string[] = [];
  const { exec } = client;
  client.exec = (source) => {
    if (source === "commit") commits.push(source);
    return exec.call(client, source);
  };
  const ids = Array.from({ length: 50 }, (_, index) => `r${index}`);
  await Promise.all([
    ...ids.map((runId) => store.createRun(run(runId))),
    ...ids.map((runId) => store.saveState(runId, "k", 1)),
    store.batch((write) => ids.forEach((id) => write.updateRun(id, { progress: 0.5 }))),
  ]);
  // One, unless the machine is so slow that the time of a commit is over.
  expect(commits.length).toBeLessThan(20);
  expect(await store.getRun("r49")).toMatchObject({ progress: 0.5, revision: 2 });
});

test.for(["abort", "fail", "rollback"])(
  "a write that a trigger refuses with raise(%s) does not undo those that share its commit",
  async (kind, { app }) => {
    const { client, store } = app;
    await store.countRuns();
    client.exec(
      `create trigger app_refuses before insert on workflow_runs when new.resource_id = 'bad'
       begin select raise(${kind}, 'no'); end`,
    );
    const settled = await Promise.allSettled([
      store.createRun(run("a")),
      store.createRun({ ...run("b"), resourceId: "bad" }),
      store.batch((write) => {
        write.createRun(run("c"));
        write.createRun({ ...run("d"), resourceId: "bad" });
      }),
      store.batch((write) => {
        write.createRun(run("e"));
        write.saveState("e", "k", 1);
      }),
    ]);
    expect(settled.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "rejected",
      "fulfilled",
    ]);
    expect(settled[1]).toMatchObject({ reason: { code: "CONSTRAINT", kind: "trigger" } });
    const { runs } = await store.listRuns();
    expect(runs.map(({ runId }) => runId).toSorted()).toEqual(["a", "e"]);
    expect(client.inTransaction).toBe(false);
  },
);

test("the lock of another connection does not block the event loop", async ({ app }) => {
  const { open, client, store } = app;
  client.exec("pragma busy_timeout = 5000");
  await store.createRun(run("first"));
  const other = open();
  other.exec("begin immediate");
  setTimeout(() => other.exec("commit"), 300);
  const held = await longestHold(async () => {
    const second = store.createRun(run("second"));
    expect(await store.getRun("first")).toMatchObject(run("first"));
    await second;
  });
  // A blocked loop would be held for 5 seconds.
  expect(held).toBeLessThan(2500);
  expect(client.prepare("pragma busy_timeout").raw().get()).toEqual([5000]);
});

test("writes wait while the app iterates over the rows of a query", async ({ app }) => {
  const { client, store } = app;
  await store.createRun(run("r"));
  // The error of better-sqlite3. libSQL, which stands in for it in older versions of Node, permits the write.
  const exec = client.exec.bind(client);
  let refusals = 0;
  vi.spyOn(client, "exec").mockImplementation((sql) => {
    if (sql !== "begin immediate" || ++refusals > 3) return exec(sql);
    throw new TypeError("This database connection is busy executing a query");
  });
  expect((await store.updateRun("r", { progress: 0.5 })).progress).toBe(0.5);
  expect(refusals).toBe(4);
  expect(client.prepare("pragma busy_timeout").raw().get()).toEqual([5000]);
});

test.for(["wal", "delete"])(
  "reads do not wait while the app iterates over the rows of a query, with journal_mode %s",
  async (journalMode, { folder }) => {
    const client = openBetterSQLite3(`${folder.path}/app.db`, journalMode);
    const db = drizzleOn(client);
    await migrate(db);
    const store = new SQLiteStore(db);
    await store.createRun(run("r"));
    vi.spyOn(client, "exec").mockImplementation(() => {
      throw new TypeError("This database connection is busy executing a query");
    });
    expect(await store.getRun("r")).toMatchObject(run("r"));
    expect((await store.readBundles()).bundles).toHaveLength(1);
    vi.restoreAllMocks();
    client.close();
  },
);

describe("a logger of the app that throws", () => {
  test("does not fail a write that is committed", async ({ app }) => {
    const { client, store } = app;
    await store.createRun(run("r"));
    const exec = client.exec.bind(client);
    vi.spyOn(client, "exec").mockImplementation((sql) => {
      exec(sql);
      if (sql === "pragma busy_timeout = 5000") throw new Error("mine");
      return client;
    });
    expect((await store.updateRun("r", { progress: 0.25 })).progress).toBe(0.25);
    vi.restoreAllMocks();
    expect((await store.getRun("r")).progress).toBe(0.25);
  });

  test("gives the caller an error of the store", async ({ app }) => {
    const client = app.open();
    const store = new SQLiteStore(drizzleOn(client));
    await store.countRuns();
    const prepare = client.prepare.bind(client);
    vi.spyOn(client, "prepare").mockImplementation((sql: string) => {
      if (sql === "pragma foreign_keys") throw new Error("mine");
      return prepare(sql);
    });
    await expect(store.createRun(run("r"))).rejects.toMatchObject({ code: "STORE_CONNECTION" });
    vi.restoreAllMocks();
    expect(await store.createRun(run("r"))).toMatchObject(run("r"));
  });
});

test("a write that fails for an unknown reason has no unknown outcome", async ({ app }) => {
  const { client, store } = app;
  await store.createRun(run("r"));
  const exec = client.exec.bind(client);
  vi.spyOn(client, "exec").mockImplementation((sql) => {
    if (sql === "commit") throw new Error("a function of the app failed");
    return exec(sql);
  });
  await expect(store.updateRun("r", { progress: 0.5 })).rejects.toMatchObject({
    code: "STORE_CONNECTION",
    outcome: "none",
  });
  vi.restoreAllMocks();
  expect((await store.getRun("r")).progress).toBe(0);
});

describe("a transaction of the store", () => {
  test("never has a statement of the app in it", async ({ app }) => {
    const { client, db, store } = app;
    await store.createRun(run("r"));
    const failure = new Error("mine");
    await expect(
      store.transaction(async (tx) => {
        await tx.saveState("r", "k", 1);
        expect(client.inTransaction).toBe(false);
        db.insert(orders).values({ orderId: "o" }).run();
        expect(await tx.loadState("r", "k")).toBe(1);
        throw failure;
      }),
    ).rejects.toBe(failure);
    expect(await store.getAllState("r")).toEqual({});
    expect(db.select().from(orders).all()).toHaveLength(1);
  });

  test("writes nothing if the app has changed what it has read", async ({ app }) => {
    const { db, store } = app;
    await store.createRun(run("r"));
    await expect(
      store.transaction(async (tx) => {
        const { progress } = await tx.getRun("r");
        db.update(workflowRuns).set({ progress: 0.5 }).run();
        await tx.saveState("r", "seen", progress);
      }),
    ).rejects.toMatchObject({
      code: "STORE_BUSY",
      retryable: true,
      message: expect.stringContaining("changed what the transaction has read"),
    });
    expect(await store.getAllState("r")).toEqual({});
    await store.transaction(async (tx) => {
      const { progress } = await tx.getRun("r");
      await tx.saveState("r", "seen", progress);
    });
    expect(await store.getAllState("r")).toEqual({ seen: 0.5 });
  });

  test("writes nothing if it is aborted while its commit waits", async ({ app }) => {
    const { client, store } = app;
    await store.createRun(run("r"));
    const aborting = new AbortController();
    const failure = new Error("mine");
    const transaction = store.transaction(
      async (tx) => {
        await tx.saveState("r", "k", 1);
        client.exec("begin");
        setTimeout(() => aborting.abort(failure), 20);
      },
      { signal: aborting.signal },
    );
    await expect(transaction).rejects.toBe(failure);
    client.exec("commit");
    // This waits for the end of the transaction.
    await store.saveState("r", "l", 1);
    expect(await store.getAllState("r")).toEqual({ l: 1 });
  });

  test("is over when a trigger rolls it back", async ({ app }) => {
    const { client, store } = app;
    await store.createRun(run("r"));
    client.exec(
      `create trigger app_ends before insert on step_outputs begin select raise(rollback, 'no'); end`,
    );
    await expect(
      store.transaction(async (tx) => {
        await tx.saveState("r", "k", 1);
        await tx.saveStepOutput("r", "s", 1).catch(() => undefined);
        await tx.saveState("r", "k", 2);
      }),
    ).rejects.toMatchObject({ code: "STORE_CONNECTION", retryable: true });
    expect(await store.getAllState("r")).toEqual({});
  });
});

test("stores on one client keep the order of their writes", async ({ app }) => {
  const other = new SQLiteStore(app.db);
  await app.store.createRun(run("r"));
  await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      (index % 2 === 0 ? app.store : other).saveState("r", "k", index),
    ),
  );
  expect(await other.loadStateEntry("r", "k")).toMatchObject({ value: 19, revision: 20 });
});

test("a closed store refuses operations, and leaves the app's database open", async ({ app }) => {
  await app.store.createRun(run("r"));
  await app.store.close();
  await expect(app.store.getRun("r")).rejects.toMatchObject({ code: "STORE_CLOSED" });
  expect(app.db.select().from(workflowRuns).all()).toHaveLength(1);
});

test("a closed database is a closed store", async ({ app }) => {
  await app.store.createRun(run("r"));
  app.client.close();
  await expect(app.store.createRun(run("s"))).rejects.toMatchObject({ code: "STORE_CLOSED" });
  await expect(app.store.getRun("r")).rejects.toMatchObject({ code: "STORE_CLOSED" });
});

test("runs are copied from a store on libSQL, and to memory", async ({ app, folder }) => {
  const from = await LibSQLStore.open(folder.database("from.db"));
  for (let index = 0; index < 20; index++) {
    const { runId } = await from.createRun({ ...run(`r${index}`), input: { index } });
    await from.createStepExecution({ runId, stepId: "s" });
    await from.saveStepOutput(runId, "s", index);
  }
  const memory = new MemoryStore();
  await copyStore(from, app.store);
  await copyStore(app.store, memory);
  expect(await compareStores(from, app.store)).toMatchObject({ equal: true });
  expect(await compareStores(from, memory)).toMatchObject({ equal: true });
  await from.close();
});

test("an engine cancels, retries and sleeps on it", async ({ app }) => {
  const step = defineStep({
    id: "s",
    input: z.string(),
    output: z.string(),
    retry: { maxRetries: 1, delayMs: 1 },
    async run(input, ctx) {
      await ctx.sleep(5);
      if (input === "wait")
        await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
      if (ctx.attempt === 1) throw new Error("first");
      return input;
    },
  });
  const workflow = defineWorkflow({ id: "w" }).step(step).build();
  const engine = makeEngine(app.store).register(workflow);
  expect(await engine.run(workflow, "a")).toMatchObject({ status: "COMPLETED", output: "a" });
  const runId = await engine.start(workflow, "wait");
  void engine.work();
  await expect
    .poll(async () => (await app.store.listStepExecutions(runId))[0]?.status, { timeout: 20_000 })
    .toBe("RUNNING");
  await engine.cancel(runId);
  expect(await app.store.getRun(runId)).toMatchObject({ status: "CANCELLED" });
  await engine.close();
  expect(await app.store.listStepExecutions(runId)).toMatchObject([{ status: "CANCELLED" }]);
});
