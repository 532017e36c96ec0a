import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { describeWorkflowStore } from "../../src/testing/describe-workflow-store.ts";

describeWorkflowStore({
  name: "LibSQLStore in memory",
  capabilities: { hostTransactions: true },
  open: ({ clock }) => LibSQLStore.open({ url: ":memory:", clock }),
});
