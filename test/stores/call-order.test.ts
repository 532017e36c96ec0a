// Calls that nobody awaits, and two stores that share a connection.
import { createClient as createUpstreamClient } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { afterEach, describe, expect, vi } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { StoreBusyError } from "../../src/errors.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { SQLiteStore } from "../../src/stores/sqlite/sqlite-store.ts";
import { drizzleOn, openBetterSQLite3 } from "../support/better-sqlite3.ts";
import { migratedDatabase } from "../support/databases.ts";
import { test } from "../support/fixtures.ts";
import type { TemporaryFolder } from "../support/temporary.ts";

interface Opened {
  /** Two stores on one connection. */
  readonly stores: readonly [WorkflowStore, WorkflowStore];
  close(): void;
}

const connections = {
  async "better-sqlite3"(folder: TemporaryFolder): Promise<Opened> {
    const client = openBetterSQLite3((await migratedDatabase(folder)).slice("file:".length));
    const db = drizzleOn(client);
    return { stores: [new SQLiteStore(db), new SQLiteStore(db)], close: () => client.close() };
  },
  async "@libsql/client"(folder: TemporaryFolder): Promise<Opened> {
    const client = createUpstreamClient({ url: await migratedDatabase(folder) });
    const db = drizzle({ client });
    return { stores: [new SQLiteStore(db), new SQLiteStore(db)], close: () => client.close() };
  },
};

const others = {
  async "our client on a file"(folder: TemporaryFolder): Promise<Opened> {
    const client = createClient(await migratedDatabase(folder));
    const db = drizzle({ client });
    return { stores: [new SQLiteStore(db), new SQLiteStore(db)], close: () => client.close() };
  },
  async "our client in memory"(): Promise<Opened> {
    const client = createClient(":memory:");
    await migrate(client);
    const db = drizzle({ client });
    return { stores: [new SQLiteStore(db), new SQLiteStore(db)], close: () => client.close() };
  },
  async memory(): Promise<Opened> {
    const store = new MemoryStore();
    return { stores: [store, store], close: () => {} };
  },
};

test.for(Object.entries({ ...connections, ...others }))(
  "on %s, transactions and writes that nobody awaits take effect in order",
  async ([, open], { folder }) => {
    const { stores, close } = await open(folder);
    const [store] = stores;
    await store.createRun({ runId: "r", workflowId: "w" });
    const ways = [
      (value: number) => store.saveState("r", "k", value),
      (value: number) => store.batch((write) => write.saveState("r", "k", value)),
      (value: number) => store.transaction((tx) => tx.saveState("r", "k", value)),
    ];
    for (const first of ways) {
      for (const second of ways) {
        // Repeated, because a turn of the event loop between the calls hides the order.
        for (let count = 0; count < 5; count++) {
          await Promise.all([first(1), second(2)]);
          expect(await store.loadState("r", "k")).toBe(2);
        }
      }
    }
    close();
  },
);

afterEach(() => void vi.useRealTimers());

test.for(Object.entries({ ...connections, ...others }))(
  "on %s, writes that wait for a transaction which never ends are rejected",
  async ([, open], { folder }) => {
    const { stores, close } = await open(folder);
    const [store] = stores;
    await store.createRun({ runId: "r", workflowId: "w" });
    vi.useFakeTimers({
      toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout", "performance"],
    });
    let hasBegun = (): void => {};
    const begun = new Promise<void>((resolve) => (hasBegun = resolve));
    let end = (): void => {};
    const abandoned = store.transaction((tx) => {
      hasBegun();
      return new Promise<void>((resolve) => (end = resolve)).then(async () => {
        await tx.saveState("r", "abandoned", 1);
      });
    });
    await begun;
    const waiting = Promise.allSettled([
      store.saveState("r", "k", 1),
      store.batch((write) => write.saveState("r", "k", 2)),
      store.transaction((tx) => tx.saveState("r", "k", 3)),
    ]);
    await vi.advanceTimersByTimeAsync(6000);
    for (const outcome of await waiting) {
      expect(outcome).toMatchObject({ reason: { code: "STORE_BUSY", retryable: true } });
    }
    const later = store.saveState("r", "later", 1);
    end();
    await vi.advanceTimersByTimeAsync(1000);
    await Promise.all([abandoned, later]);
    vi.useRealTimers();
    expect(await store.getAllState("r")).toEqual({ abandoned: 1, later: 1 });
    close();
  },
);

describe.each(Object.entries(connections))("on %s", (_, open) => {
  test("a transaction that waits for another store does not wait forever", async ({ folder }) => {
    const { stores, close } = await open(folder);
    const [store, other] = stores;
    await store.createRun({ runId: "r", workflowId: "w" });
    await other.saveState("r", "k", 0);
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    let waiting = (): void => {};
    const begun = new Promise<void>((resolve) => (waiting = resolve));
    const outcomes = Promise.allSettled([
      store.transaction(async (tx) => {
        await tx.saveState("r", "k", 1);
        waiting();
        await other.saveState("r", "k", 2);
      }),
      store.saveState("r", "l", 1),
      store.transaction((tx) => tx.saveState("r", "m", 1)),
    ]);
    await begun;
    // The call is made after this turn.
    await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(6000);
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ reason: { code: "STORE_BUSY", retryable: true } });
    }
    vi.useRealTimers();
    expect(await store.getAllState("r")).toEqual({ k: 0 });
    await other.saveState("r", "k", 3);
    expect(await store.getAllState("r")).toEqual({ k: 3 });
    close();
  });

  test("an app's error that says busy does not end the use of the client", async ({ folder }) => {
    const { stores, close } = await open(folder);
    const [store] = stores;
    const failure = new StoreBusyError("mine");
    await expect(store.transaction(() => Promise.reject(failure))).rejects.toBe(failure);
    expect(await store.createRun({ workflowId: "w" })).toMatchObject({ status: "PENDING" });
    close();
  });
});
