// An app's cache of queries, `drizzle({ client, cache })`: it is the app's, and is told what our store writes.
import { createClient as createRemoteClient, type Client } from "@libsql/client";
import { eq, getTableName, is, Table } from "drizzle-orm";
import { Cache, type MutationOption } from "drizzle-orm/cache/core";
import { drizzle } from "drizzle-orm/libsql";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { stepExecutions, workflowRuns } from "../../src/schema/tables.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";
import { orders, ordersDefinition } from "./support/host-databases.ts";

/** What a cache of an app has to do, in memory. */
class AppCache extends Cache {
  readonly #answers = new Map<string, { readonly rows: unknown[]; readonly tables: string[] }>();
  readonly #strategy: "explicit" | "all";
  hits = 0;
  isDown = false;

  constructor(strategy: "explicit" | "all") {
    super();
    this.#strategy = strategy;
  }

  override strategy(): "explicit" | "all" {
    return this.#strategy;
  }

  override async get(key: string): Promise<unknown[] | undefined> {
    const found = this.#answers.get(key);
    if (found !== undefined) this.hits += 1;
    return found?.rows;
  }

  override async put(key: string, rows: unknown[], tables: string[]): Promise<void> {
    this.#answers.set(key, { rows, tables });
  }

  override async onMutate({ tables = [] }: MutationOption): Promise<void> {
    if (this.isDown) throw new Error("the cache is down");
    const written = new Set(
      [tables].flat().map((table) => (is(table, Table) ? getTableName(table) : table)),
    );
    for (const [key, answer] of this.#answers) {
      if (answer.tables.some((table) => written.has(table))) this.#answers.delete(key);
    }
  }
}

let folder: TemporaryFolder;
let client: Client;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(async () => {
  client.close();
  await folder.remove();
});

const clients = {
  "our client": createClient,
  "@libsql/client": (url: string) => createRemoteClient({ url }),
};

describe.each(Object.entries(clients))("by %s", (_, open) => {
  async function openApp(strategy: "explicit" | "all" = "explicit") {
    client = open(folder.database());
    await migrate(client);
    await client.execute(ordersDefinition);
    const cache = new AppCache(strategy);
    const db = drizzle({ client, cache });
    return { cache, db, store: new LibSQLStore(db) };
  }

  test("the app's queries of its own tables are cached as without us, and what it writes to them is seen", async () => {
    const { cache, db, store } = await openApp();
    const read = () => db.select().from(orders).$withCache();
    expect(await read()).toEqual([]);
    await store.createRun({ workflowId: "w", runId: "r" });
    expect(await read()).toEqual([]);
    // Our write was none of its tables.
    expect(cache.hits).toBe(1);

    await db.insert(orders).values({ orderId: "o1" });
    expect(await read()).toHaveLength(1);
    await db.transaction(async (tx) => {
      await tx.insert(orders).values({ orderId: "o2" });
      await store.withTransaction(tx).updateRun("r", { progress: 0.5 });
    });
    expect((await read()).map(({ orderId }) => orderId)).toEqual(["o1", "o2"]);
    expect(cache.hits).toBe(1);
  });

  test("a cached query of our tables is not stale after any write of the store", async () => {
    const { cache, db, store } = await openApp();
    const read = async () => {
      const runs = await db
        .select({
          runId: workflowRuns.runId,
          status: workflowRuns.status,
          progress: workflowRuns.progress,
          step: stepExecutions.stepId,
        })
        .from(workflowRuns)
        .leftJoin(stepExecutions, eq(stepExecutions.runId, workflowRuns.runId))
        .$withCache();
      return runs.map(
        ({ runId, status, progress, step }) => `${runId} ${status} ${progress} ${step}`,
      );
    };
    expect(await read()).toEqual([]);
    await store.createRun({ workflowId: "w", runId: "r" });
    expect(await read()).toEqual(["r PENDING 0 null"]);
    expect([await read(), cache.hits]).toEqual([["r PENDING 0 null"], 1]);

    await store.batch((write) => {
      write.createStepExecution({ runId: "r", stepId: "s" });
      write.updateRun("r", { progress: 0.1 });
    });
    expect(await read()).toEqual(["r PENDING 0.1 s"]);
    await store.transaction((tx) => tx.updateRun("r", { progress: 0.2 }));
    expect(await read()).toEqual(["r PENDING 0.2 s"]);
    await store.hostTransaction((tx) =>
      store.withTransaction(tx).updateRun("r", { progress: 0.3 }),
    );
    expect(await read()).toEqual(["r PENDING 0.3 s"]);
    await db.transaction((tx) => store.withTransaction(tx).updateRun("r", { progress: 0.4 }));
    expect(await read()).toEqual(["r PENDING 0.4 s"]);
    await store.claimRuns({ workerId: "w", leaseMs: 1000, limit: 1 });
    expect(await read()).toEqual(["r RUNNING 0.4 s"]);
    await store.deleteRun("r");
    expect(await read()).toEqual([]);
    expect(cache.hits).toBe(1);
  });

  test("nor is it after a transaction of the store, which it was filled from before the commit", async () => {
    const { db, store } = await openApp();
    const read = async () =>
      (await db.select().from(workflowRuns).$withCache()).map(({ progress }) => progress);
    await store.createRun({ workflowId: "w", runId: "r" });
    for (const transact of [
      (work: () => Promise<unknown>) =>
        store.hostTransaction(async (_tx, inside) => {
          await inside.updateRun("r", { progress: 0.5 });
          await work();
        }),
      (work: () => Promise<unknown>) =>
        store.transaction(async (inside) => {
          await inside.updateRun("r", { progress: 1 });
          await work();
        }),
    ]) {
      const [before = 0] = await read();
      await transact(async () => expect(await read()).toEqual([before]));
      expect(await read()).toEqual([before + 0.5]);
    }
  });

  test("the store itself is never answered from the cache, though the app caches everything", async () => {
    const { db, store } = await openApp("all");
    await store.createRun({ workflowId: "w", runId: "r" });
    expect((await store.getRun("r")).progress).toBe(0);
    await db.transaction(async (tx) => {
      const inside = store.withTransaction(tx);
      expect((await inside.getRun("r")).progress).toBe(0);
      await inside.updateRun("r", { progress: 0.5 });
      expect((await inside.getRun("r")).progress).toBe(0.5);
    });
    // Behind everybody's back.
    await client.execute("update workflow_runs set progress = 1");
    expect((await store.getRun("r")).progress).toBe(1);
  });

  test("a cache that is down fails no write of the store", async () => {
    const { cache, store } = await openApp();
    cache.isDown = true;
    await store.createRun({ workflowId: "w", runId: "r" });
    expect((await store.updateRun("r", { progress: 1 })).progress).toBe(1);
  });

  test("a batch of the app is past every cache, the app's own rows too: it says what it has written", async () => {
    const { db, store } = await openApp();
    const read = async () => [
      (await db.select().from(orders).$withCache()).length,
      (await db.select().from(workflowRuns).$withCache()).length,
    ];
    expect(await read()).toEqual([0, 0]);
    await db.batch([
      db.insert(orders).values({ orderId: "o" }),
      store.statements.createRun({ workflowId: "w" }),
    ]);
    expect(await read()).toEqual([0, 0]);
    await db.$cache.invalidate({ tables: [orders, workflowRuns] });
    expect(await read()).toEqual([1, 1]);
  });
});

test("a claim that finds nothing does not call the cache, and a heartbeat does not wait for it", async () => {
  let calls = 0;
  let isStuck = false;
  class CountingCache extends AppCache {
    override async onMutate(): Promise<void> {
      calls += 1;
      if (isStuck) await new Promise(() => undefined);
    }
  }
  client = createClient(folder.database());
  await migrate(client);
  const store = new LibSQLStore(drizzle({ client, cache: new CountingCache("all") }));
  const claim = { workerId: "w", leaseMs: 1000, limit: 1 };
  for (let poll = 0; poll < 3; poll++) expect(await store.claimRuns(claim)).toEqual([]);
  expect(calls).toBe(0);
  const { runId } = await store.createRun({ workflowId: "w" });
  expect(await store.claimRuns(claim)).toHaveLength(1);
  expect(calls).toBe(2);
  isStuck = true;
  expect(await store.extendLease({ runId, workerId: "w", leaseMs: 2000 })).toBeInstanceOf(Date);
});
