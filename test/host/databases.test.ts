import { createRequire } from "node:module";
import { createClient as createDriverClient, type Client } from "@libsql/client";
import { sql } from "drizzle-orm";
import { drizzle as d1 } from "drizzle-orm/d1";
import { drizzle } from "drizzle-orm/libsql";
import { withReplicas } from "drizzle-orm/sqlite-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { createClient } from "../../src/client/create-client.ts";
import { isDrizzle1 } from "../../src/drizzle.ts";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { Engine } from "../../src/engine/engine.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { schema } from "../../src/schema/schema.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { startSqld } from "../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

let folder: TemporaryFolder;
const cleanups: (() => unknown)[] = [];
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  await folder.remove();
});

function opened<Opened extends Client>(client: Opened): Opened {
  cleanups.push(() => client.close());
  return client;
}

async function openHost(client: Client) {
  opened(client);
  await migrate(client);
  const db = drizzle({ client, schema });
  return { db, store: new LibSQLStore(db) };
}

/** The rejection of `promise`, which must come before anything waits for a lock. */
async function soonRejected(promise: Promise<unknown>): Promise<unknown> {
  const start = performance.now();
  const error = await promise.then(
    () => "resolved",
    (thrown: unknown) => thrown,
  );
  expect(performance.now() - start).toBeLessThan(2000);
  return error;
}

test.each(["transaction", "hostTransaction"] as const)(
  "hostTransaction inside %s of one store is refused at once",
  async (outer) => {
    const { store } = await openHost(createClient(folder.database()));
    const inside = () => store.hostTransaction(async () => 1);
    const work =
      outer === "transaction" ? store.transaction(inside) : store.hostTransaction(inside);
    expect(await soonRejected(work)).toMatchObject({ code: "UNSUPPORTED" });
    expect(
      await soonRejected(store.hostTransaction(() => store.createRun({ workflowId: "w" }))),
    ).toMatchObject({ code: "UNSUPPORTED" });
    expect(await store.createRun({ workflowId: "w" })).toMatchObject({ workflowId: "w" });
  },
);

test("a store on a database with replicas reads and writes its primary", async () => {
  const { db } = await openHost(createClient(folder.database("primary.db")));
  const replica = await openHost(createClient(folder.database("replica.db")));
  const store = new LibSQLStore(withReplicas(db, [replica.db]));
  const { runId } = await store.createRun({ workflowId: "w" });
  expect(await store.getRun(runId)).toMatchObject({ workflowId: "w" });
  await store.hostTransaction((_transaction, tx) => tx.saveState(runId, "a", 1));
  await store.db.transaction((tx) => store.withTransaction(tx).saveState(runId, "b", 2));
  await store.db.$primary.batch([store.statements.saveState(runId, "c", 3)] as never);
  expect(await store.getAllState(runId)).toEqual({ a: 1, b: 2, c: 3 });
  expect(await replica.store.countRuns()).toMatchObject({ PENDING: 0 });
});

test("a database of an app that loads drizzle-orm by require works", async () => {
  // `require` is not subject to the hooks that choose the Drizzle of the tests.
  const place = isDrizzle1
    ? new URL("../drizzle-1/register.mjs", import.meta.url)
    : import.meta.url;
  const require = createRequire(place);
  const common = require("drizzle-orm/libsql") as { drizzle: typeof drizzle };
  expect(common.drizzle).not.toBe(drizzle);
  const client = opened(createClient(folder.database()));
  await migrate(client);
  const db = common.drizzle({ client, schema });
  const store = new LibSQLStore(db);
  const { runId } = await store.createRun({ workflowId: "w", input: { a: [1] } });
  await db.transaction(async (tx) => {
    const inside = store.withTransaction(tx);
    await inside.saveState(runId, "a", 1);
    await inside.updateRun(runId, { progress: 0.5 });
    await inside.transaction((nested) => nested.saveStepOutput(runId, "s", 2));
  });
  await db.batch([store.statements.saveState(runId, "b", 2), store.statements.guard()] as never);
  const [bundle] = (await store.readBundles()).bundles;
  expect(bundle).toMatchObject({
    run: { input: { a: [1] }, progress: 0.5 },
    outputs: [{ output: 2 }],
    state: [{ value: 1 }, { value: 2 }],
  });
});

describe("a file whose text is UTF-16", () => {
  test.each(["UTF-16le", "UTF-16be"])(
    "(%s) is refused, as a host and by open",
    async (encoding) => {
      const client = opened(createDriverClient({ url: folder.database() }));
      await client.execute(`pragma encoding = '${encoding}'`);
      await client.execute("create table app (x text)");
      const refusal = { code: "UNSUPPORTED", feature: "encoding" };
      await expect(LibSQLStore.open(folder.database())).rejects.toMatchObject(refusal);
      const { rows } = await client.execute("select name from sqlite_schema");
      expect(rows).toHaveLength(1);
      await migrate(client);
      const host = new LibSQLStore(drizzle({ client: opened(createClient(folder.database())) }));
      await expect(host.createRun({ workflowId: "w" })).rejects.toMatchObject(refusal);
    },
  );
});

describe("a transaction of another database", () => {
  const step = defineStep({
    id: "s",
    input: z.any(),
    output: z.any(),
    run: async () => 1,
  });
  const workflow = defineWorkflow({ id: "w" }).step(step).build();

  const others: Record<string, () => Promise<Client>> = {
    "another file": async () => createClient(folder.database("other.db")),
    memory: async () => createClient(":memory:"),
    "a server": async () => {
      const server = await startSqld();
      cleanups.push(() => server.stop());
      return createDriverClient({ url: server.httpUrl });
    },
  };
  test.each(Object.keys(others))("(%s) is refused, and nothing is written there", async (name) => {
    const { store } = await openHost(createClient(folder.database()));
    const other = await openHost(await (others[name] as () => Promise<Client>)());
    const engine = new Engine(store);
    cleanups.push(() => engine.close());
    for (const work of [
      () => other.db.transaction((tx) => store.withTransaction(tx).createRun({ workflowId: "w" })),
      () => other.db.transaction((tx) => engine.start(workflow, 1, { tx })),
    ]) {
      await expect(work()).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        argument: "transaction",
      });
    }
    expect(await other.store.countRuns()).toMatchObject({ PENDING: 0 });
  });

  test("in memory is refused by a store in memory", async () => {
    const { store } = await openHost(createClient(":memory:"));
    const other = await openHost(createClient(":memory:"));
    await expect(
      other.db.transaction((tx) => store.withTransaction(tx).createRun({ workflowId: "w" })),
    ).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("that is the same file through another client is taken", async () => {
    const { store } = await openHost(createClient(folder.database()));
    const app = drizzle({ client: opened(createDriverClient({ url: folder.database() })) });
    const { runId } = await app.transaction((tx) =>
      store.withTransaction(tx).createRun({ workflowId: "w" }),
    );
    expect(await store.getRun(runId)).toMatchObject({ status: "PENDING" });
  });
});

test.each(["ours", "of @libsql/client"])(
  "the first operation of a store may be in the app's transaction, in memory, on a client %s",
  async (whose) => {
    const client = opened(
      whose === "ours" ? createClient(":memory:") : createDriverClient({ url: ":memory:" }),
    );
    await migrate(client);
    const db = drizzle({ client });
    const store = new LibSQLStore(db);
    const work = db.transaction((tx) =>
      store.withTransaction(tx).createRun({ runId: "r", workflowId: "w" }),
    );
    expect(await work).toMatchObject({ runId: "r" });
    expect(await store.getRun("r")).toMatchObject({ workflowId: "w" });
  },
);

test("a store waits for the only connection of a client, which a transaction of the app has", async () => {
  const client = createDriverClient({ url: ":memory:" });
  const { store } = await openHost(client);
  await store.createRun({ workflowId: "w", runId: "first" });
  const transaction = await client.transaction("write");
  const calls = [
    store.createRun({ workflowId: "w", runId: "second" }),
    store.getRun("first"),
    store.transaction((tx) => tx.createRun({ workflowId: "w", runId: "third" })),
  ];
  await new Promise((resolve) => setTimeout(resolve, 20));
  await transaction.rollback();
  for (const call of calls) await call;
  expect((await store.stats()).runs.PENDING).toBe(3);
});

test("two stores on one client of @libsql/client share its one connection", async () => {
  const client = createDriverClient({ url: folder.database() });
  const { db, store } = await openHost(client);
  const other = new LibSQLStore(db);
  const runs = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      (index % 2 === 0 ? store : other).createRun({ workflowId: "w" }),
    ),
  );
  expect(runs).toHaveLength(40);
  expect(await other.countRuns()).toMatchObject({ PENDING: 40 });
});

test.each(["transaction", "hostTransaction"] as const)(
  "the work of a %s that was aborted while it waited is not run",
  async (name) => {
    const { store } = await openHost(createClient(folder.database()));
    const { runId } = await store.createRun({ workflowId: "w" });
    const aborted = new AbortController();
    let ran = false;
    let finish: () => void = () => undefined;
    let begin: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const holding = store.transaction(
      () =>
        new Promise<void>((resolve) => {
          finish = resolve;
          begin();
        }),
    );
    await begun;
    const late = store[name](
      async () => {
        ran = true;
      },
      { signal: aborted.signal },
    );
    late.catch(() => undefined);
    await store.getRun(runId);
    await new Promise((resolve) => setTimeout(resolve, 5));
    aborted.abort(new Error("mine"));
    await expect(late).rejects.toThrow("mine");
    finish();
    await holding;
    await store.saveState(runId, "after", 1);
    expect(ran).toBe(false);
  },
);

test("the text of an app's full disk has a code of its own", async () => {
  const client = createClient(folder.database());
  const { db, store } = await openHost(client);
  const pages = await db.all<{ page_count: number }>(sql`pragma page_count`);
  await client.execute(`pragma max_page_count = ${Number(pages[0]?.page_count) + 2}`);
  await expect(
    store.createRun({ workflowId: "w", input: "x".repeat(1_000_000) }),
  ).rejects.toMatchObject({ code: "STORE_FULL", retryable: true });
});

test("a run that is started by SQL alone is worked on", async () => {
  const { db, store } = await openHost(createClient(folder.database()));
  const double = defineStep({
    id: "double",
    input: z.object({ n: z.number() }),
    output: z.number(),
    run: async ({ n }) => 2 * n,
  });
  const workflow = defineWorkflow({ id: "by-sql" }).step(double).build();
  await db
    .insert(schema.workflowRuns)
    .values({ runId: "typed", workflowId: "by-sql", input: { n: 1 } });
  const now = Date.now();
  await db.run(
    sql`insert into workflow_runs (run_id, workflow_id, input, created_at, updated_at)
        values ('plain', 'by-sql', '{"n":2}', ${now}, ${now})`,
  );
  const engine = new Engine(store);
  cleanups.push(() => engine.close());
  engine.register(workflow);
  expect(await engine.wait("typed")).toMatchObject({ status: "COMPLETED", output: 2 });
  expect(await engine.wait("plain")).toMatchObject({ status: "COMPLETED", output: 4 });
});

test("a database on another driver is refused by name, also one with a batch of its own", () => {
  const binding = { batch: () => {}, prepare: () => {} };
  expect(() => new LibSQLStore(d1(binding as never) as never)).toThrow(
    expect.objectContaining({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("must be a Drizzle database on a libSQL client"),
    }),
  );
});
