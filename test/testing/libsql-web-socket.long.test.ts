import { afterAll, beforeAll } from "vitest";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { describeWorkflowStore } from "../../src/testing/describe-workflow-store.ts";
import { emptyDatabase } from "../support/databases.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";

let server: Sqld;
beforeAll(async () => {
  server = await startSqld();
});
afterAll(() => server.stop());

describeWorkflowStore({
  name: "LibSQLStore over WebSocket",
  capabilities: { hostTransactions: true },
  open: async ({ clock }) => {
    const store = await LibSQLStore.open({ url: server.webSocketUrl, clock });
    await emptyDatabase(store.db);
    return store;
  },
});
