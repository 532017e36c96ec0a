// The parts of the store on D1 that need no D1: its batches run on libSQL here, and in workerd in the long tests.
import { expect } from "vitest";
import type { D1Client } from "../../../src/drivers/d1.ts";
import { migrate } from "../../../src/migrations/migrate.ts";
import { SQLiteStore } from "../../../src/stores/sqlite/sqlite-store.ts";
import { openBetterSQLite3 } from "../../support/better-sqlite3.ts";
import { drizzle } from "drizzle-orm/d1";
import { test } from "../../support/fixtures.ts";

function openD1(file: string): { readonly client: D1Client; close(): void } {
  const database = openBetterSQLite3(file);
  const prepare = (sql: string, args: unknown[] = []) => ({
    bind: (...values: unknown[]) => prepare(sql, values),
    raw: async () => database.prepare(sql).raw().all(args) as unknown[][],
    run() {
      const statement = database.prepare(sql);
      if (statement.reader) return { results: statement.all(args), meta: { changes: 1 } };
      return { results: [], meta: { changes: statement.run(args).changes } };
    },
  });
  const batch = async (statements: ReturnType<typeof prepare>[]) => {
    try {
      return database.transaction(() => statements.map((each) => each.run()))();
    } catch (error) {
      const { message, code } = error as { message: string; code: string };
      throw new Error(`D1_ERROR: ${message}: ${code}`, { cause: error });
    }
  };
  return { client: { prepare, batch } as never, close: () => database.close() };
}

test("a batch that fails on D1 has the error of its first failed write", async ({ folder }) => {
  const { client, close } = openD1(`${folder.path}/d1.db`);
  try {
    const db = drizzle(client as never);
    await migrate(db);
    const store = new SQLiteStore(db);
    await store.createRun({ runId: "r", workflowId: "w", idempotencyKey: "k" });
    const failed = store.batch((write) => {
      write.createRun({ runId: "second", workflowId: "w", idempotencyKey: "k" });
      write.updateRun("r", { progress: 0.5 });
      write.createStepExecution({ runId: "r", stepId: "s" });
      write.updateRun("r", { progress: 0.6 }, { expectedRevision: 1 });
    });
    await expect(failed).rejects.toMatchObject({ code: "REVISION_CONFLICT", actualRevision: 2 });
    const fence = { runId: "r", workerId: "nobody" };
    await expect(store.batch(() => {}, { fence })).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await store.getRun("r")).toMatchObject({ progress: 0, revision: 1 });
    await store.createStepExecution({ runId: "r", stepId: "s" });
    await expect(store.reopenRun("r", { fromStep: "s" })).rejects.toMatchObject({
      code: "RUN_TRANSITION",
    });
    const large = "x".repeat(2_000_000);
    await expect(store.updateRun("r", { input: large })).rejects.toMatchObject({
      code: "INVALID_VALUE",
      path: "input",
    });
    await expect(store.transaction(async () => 1)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    for (const key of ["a", "b", "c"]) await store.saveState("r", key, "x".repeat(1_900_000));
    expect(Object.keys(await store.getAllState("r"))).toEqual(["a", "b", "c"]);
  } finally {
    close();
  }
});
