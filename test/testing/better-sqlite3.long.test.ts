import { describeWorkflowStore } from "../../src/testing/describe-workflow-store.ts";
import { SQLiteStore } from "../../src/stores/sqlite/sqlite-store.ts";
import { drizzleOn, hasBetterSQLite3, openBetterSQLite3 } from "../support/better-sqlite3.ts";
import { migratedDatabase } from "../support/databases.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { describeSyncDriver } from "./driver-rules.ts";

describeWorkflowStore({
  name: "SQLiteStore on better-sqlite3",
  open: async ({ clock }) => {
    const folder = await temporaryFolder();
    const url = await migratedDatabase(folder);
    const client = openBetterSQLite3(url.slice("file:".length));
    // Integers are `bigint` for the app.
    client.defaultSafeIntegers(true);
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

describeSyncDriver("better-sqlite3", async (file, journalMode) => {
  const client = openBetterSQLite3(file, journalMode);
  // libSQL, which stands in for it in older versions of Node, has no functions.
  return {
    client,
    db: drizzleOn(client) as never,
    replacesBrokenText: hasBetterSQLite3,
    ...(hasBetterSQLite3 && { defineFunction: (name, work) => client.function(name, work) }),
  };
});
