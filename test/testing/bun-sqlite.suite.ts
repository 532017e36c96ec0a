// The conformance suite on bun:sqlite. `npm run test:platforms` runs it in Bun.
import { describeWorkflowStore } from "../../src/testing/describe-workflow-store.ts";
import { drizzleOn, openBunDatabase } from "../support/bun-sqlite.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { SQLiteStore } from "../../src/stores/sqlite/sqlite-store.ts";
import { describeSyncDriver } from "./driver-rules.ts";

describeWorkflowStore({
  name: "SQLiteStore on bun:sqlite",
  open: async ({ clock }) => {
    const client = await openBunDatabase(":memory:");
    const db = await drizzleOn(client);
    await migrate(db);
    return { store: new SQLiteStore(db, { clock }), dispose: async () => client.close() };
  },
});

describeSyncDriver("bun:sqlite", async (file, journalMode) => {
  const client = await openBunDatabase(file, journalMode);
  return { client, db: await drizzleOn(client) };
});
