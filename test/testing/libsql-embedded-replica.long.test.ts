import { afterAll, beforeAll } from "vitest";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { describeWorkflowStore } from "../../src/testing/describe-workflow-store.ts";
import { emptyDatabase } from "../support/databases.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

let server: Sqld;
let folder: TemporaryFolder;
beforeAll(async () => {
  server = await startSqld();
  folder = await temporaryFolder();
});
afterAll(async () => {
  await server.stop();
  await folder.remove();
});

describeWorkflowStore({
  name: "LibSQLStore on an embedded replica",
  capabilities: { hostTransactions: true },
  open: async ({ clock }) => {
    // All tests share one copy, because a new copy would fetch everything that was ever written.
    const store = await LibSQLStore.open({
      url: folder.database(),
      syncUrl: server.httpUrl,
      clock,
    });
    await emptyDatabase(store.db);
    return store;
  },
});
