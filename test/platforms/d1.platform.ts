// The conformance suite on a D1 database in workerd.
import { afterAll, beforeAll } from "vitest";
import { migrate } from "../../src/migrations/migrate.ts";
import { SQLiteStore } from "../../src/stores/sqlite/sqlite-store.ts";
import { describeWorkflowStore } from "../../src/testing/describe-workflow-store.ts";
import { drizzleOn, startD1, type LocalD1 } from "../support/d1.ts";

let d1: LocalD1;
beforeAll(async () => {
  d1 = await startD1();
  await migrate(drizzleOn(d1.client));
});
afterAll(() => d1?.stop());

describeWorkflowStore({
  name: "SQLiteStore on D1",
  capabilities: { transactions: false, maxRowBytes: 2_000_000 },
  open: async ({ clock }) => {
    await d1.client.batch([d1.client.prepare("delete from workflow_runs")]);
    return new SQLiteStore(drizzleOn(d1.client), { clock });
  },
});
