import { describe, expect, test } from "vitest";
import type { AppDatabase } from "../../src/drizzle-types.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { SQLiteStore } from "../../src/stores/sqlite/sqlite-store.ts";
import { longestHold } from "../support/event-loop.ts";
import { temporaryFolder } from "../support/temporary.ts";

interface Connection {
  readonly client: { exec(sql: string): unknown; close(): unknown };
  readonly db: AppDatabase;
  /** Makes a function of the app that SQL can call. Undefined if the library has none. */
  readonly defineFunction?: (name: string, work: () => unknown) => unknown;
}

/** Declares the tests of what a store needs from a synchronous library, beyond the contract. */
export function describeSyncDriver(
  name: string,
  connect: (file: string, journalMode: "wal" | "delete") => Promise<Connection>,
) {
  async function inDatabase(
    work: (connection: Connection, connectAgain: () => Promise<Connection>) => Promise<void>,
    journalMode: "wal" | "delete" = "wal",
  ) {
    const folder = await temporaryFolder();
    const connections: Connection[] = [];
    const connectAgain = async () => {
      const connection = await connect(`${folder.path}/app.db`, journalMode);
      connections.push(connection);
      return connection;
    };
    try {
      const first = await connectAgain();
      await migrate(first.db);
      await work(first, connectAgain);
    } finally {
      for (const { client } of connections) {
        try {
          client.close();
        } catch {
          // The test has closed it.
        }
      }
      await folder.remove();
    }
  }

  describe(`SQLiteStore on ${name}`, () => {
    test("is closed when the app has closed its database", async () => {
      await inDatabase(async ({ client, db }) => {
        const store = new SQLiteStore(db);
        await store.createRun({ runId: "r", workflowId: "w" });
        await store.getRun("r");
        client.close();
        for (const call of [
          () => store.getRun("r"),
          () => store.getRun("r"),
          () => store.readBundles(),
          () => store.createRun({ workflowId: "w" }),
          () => store.transaction((tx) => tx.getRun("r")),
          () => new SQLiteStore(db).getRun("r"),
        ]) {
          await expect(call()).rejects.toMatchObject({ code: "STORE_CLOSED" });
        }
      });
    });

    test("has nested transactions whose writes change different numbers of rows", async () => {
      await inDatabase(async ({ db }) => {
        const store = new SQLiteStore(db);
        await store.createRun({ runId: "r", workflowId: "w" });
        await store.transaction(async (tx) => {
          await tx.transaction(async (nested) => {
            await expect(nested.saveState("missing", "k", 1)).rejects.toMatchObject({
              code: "RUN_NOT_FOUND",
            });
            await nested.saveState("r", "k", 1);
          });
          await tx.batch((write) => ["a", "b"].forEach((key) => write.saveState("r", key, 1)));
        });
        expect(await store.getAllState("r")).toEqual({ a: 1, b: 1, k: 1 });
      });
    });

    test("does not block the event loop without a write-ahead log", async () => {
      await inDatabase(async ({ client, db }, connectAgain) => {
        client.exec("pragma busy_timeout = 5000");
        const second = await connectAgain();
        const store = new SQLiteStore(db);
        await store.createRun({ runId: "r", workflowId: "w" });
        const held = await longestHold(async () => {
          second.client.exec("begin exclusive");
          const reads = [store.getRun("r"), store.readBundles()];
          setTimeout(() => second.client.exec("commit"), 200);
          await Promise.all(reads);
          // A transaction that has read delays the commits of others.
          second.client.exec("begin; create temp table app_seen as select * from workflow_runs");
          const write = store.updateRun("r", { progress: 0.5 });
          setTimeout(() => second.client.exec("commit"), 200);
          await write;
        });
        // A blocked loop would be held for 5 seconds.
        expect(held).toBeLessThan(2500);
      }, "delete");
    });

    test("rejects for good if a function of the app throws in a trigger", async () => {
      await inDatabase(async ({ client, db, defineFunction }) => {
        if (defineFunction === undefined) return;
        const failure = new Error("mine");
        defineFunction("app_check", () => {
          throw failure;
        });
        client.exec(
          "create trigger app_checks before update on workflow_runs begin select app_check(); end",
        );
        const store = new SQLiteStore(db);
        await store.createRun({ runId: "r", workflowId: "w" });
        const others = [store.saveState("r", "k", 1), store.saveState("r", "l", 1)];
        await expect(store.updateRun("r", { progress: 0.5 })).rejects.toMatchObject({
          code: "STORE_CONNECTION",
          outcome: "none",
          retryable: false,
        });
        await Promise.all(others);
        expect(await store.getAllState("r")).toEqual({ k: 1, l: 1 });
      });
    });
  });
}
