import { describeWorkflowStore } from "../../src/testing/describe-workflow-store.ts";
import { SQLiteStore } from "../../src/stores/sqlite/sqlite-store.ts";
import { drizzleOn, openBetterSQLite3 } from "../support/better-sqlite3.ts";
import { migratedDatabase } from "../support/databases.ts";
import { temporaryFolder } from "../support/temporary.ts";

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
