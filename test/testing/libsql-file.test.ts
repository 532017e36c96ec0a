import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { describeWorkflowStore } from "../../src/testing/describe-workflow-store.ts";
import { migratedDatabase } from "../support/databases.ts";
import { temporaryFolder } from "../support/temporary.ts";

describeWorkflowStore({
  name: "LibSQLStore on a file",
  capabilities: { hostTransactions: true },
  open: async ({ clock }) => {
    const folder = await temporaryFolder();
    const store = await LibSQLStore.open({ url: await migratedDatabase(folder), clock });
    return { store, dispose: () => folder.remove() };
  },
});
