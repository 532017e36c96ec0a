import { afterAll, beforeAll } from "vitest";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { describeWorkflowStore } from "../../src/testing/describe-workflow-store.ts";
import { emptyDatabase } from "../support/databases.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";

let primary: Sqld;
let replica: Sqld;
beforeAll(async () => {
  primary = await startSqld();
  replica = await startSqld({ primaryGrpcPort: primary.grpcPort });
});
afterAll(async () => {
  await replica.stop();
  await primary.stop();
});

describeWorkflowStore({
  name: "LibSQLStore through a replica",
  capabilities: { hostTransactions: true },
  open: async ({ clock }) => {
    const store = await LibSQLStore.open({
      url: primary.httpUrl,
      readUrl: replica.httpUrl,
      clock,
    });
    await emptyDatabase(store.db);
    return store;
  },
});
