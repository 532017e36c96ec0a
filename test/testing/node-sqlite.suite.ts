import { expect, test } from "vitest";
import { migrate } from "../../src/migrations/migrate.ts";
import { describeWorkflowStore } from "../../src/testing/describe-workflow-store.ts";
import { SQLiteStore } from "../../src/stores/sqlite/sqlite-store.ts";
import { migratedDatabase } from "../support/databases.ts";
import { drizzleOn, nodeSQLite } from "../support/node-sqlite.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { describeSyncDriver } from "./driver-rules.ts";

// `npm run test:platforms` runs it on a version of Node that has the module.
describeWorkflowStore({
  name: "SQLiteStore on node:sqlite",
  open: async ({ clock }) => {
    const folder = await temporaryFolder();
    const url = await migratedDatabase(folder);
    const client = new nodeSQLite!.DatabaseSync(url.slice("file:".length));
    const store = new SQLiteStore(drizzleOn(client), { clock });
    return {
      store,
      async dispose() {
        client.close();
        await folder.remove();
      },
    };
  },
});

describeSyncDriver("node:sqlite", async (file, journalMode) => {
  const client = new nodeSQLite!.DatabaseSync(file);
  client.exec(`pragma journal_mode = ${journalMode}`);
  return {
    client,
    db: drizzleOn(client) as never,
    defineFunction: (name, work) => client.function(name, work),
  };
});

test("a store continues after its app has closed the database and opened it again", async () => {
  const folder = await temporaryFolder();
  const url = await migratedDatabase(folder);
  const client = new nodeSQLite!.DatabaseSync(url.slice("file:".length));
  const store = new SQLiteStore(drizzleOn(client));
  await store.createRun({ runId: "r", workflowId: "w" });
  await store.getRun("r");
  client.close();
  await expect(store.getRun("r")).rejects.toMatchObject({ code: "STORE_CLOSED" });
  client.open();
  expect(await store.getRun("r")).toMatchObject({ workflowId: "w" });
  await store.createRun({ runId: "s", workflowId: "w" });
  expect((await store.listRuns()).runs).toHaveLength(2);
  client.close();
  await folder.remove();
});

test("a migration waits until the app has read all rows of a query", async () => {
  const client = new nodeSQLite!.DatabaseSync(":memory:");
  client.exec("create table letters as select 'a' union select 'b'");
  const letters = client.prepare("select * from letters") as unknown as {
    iterate(): Iterator<unknown>;
  };
  const rows = letters.iterate();
  rows.next();
  const migrated = migrate(drizzleOn(client));
  setTimeout(() => rows.return?.(), 50);
  expect((await migrated).applied).toContain("0000_initial");
  client.close();
});
