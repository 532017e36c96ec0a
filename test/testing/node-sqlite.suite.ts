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
