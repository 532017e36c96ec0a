import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "libsql";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CorruptRowError, StoreConnectionError } from "../../../src/errors.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { temporaryFolder, type TemporaryFolder } from "../../support/temporary.ts";

let folder: TemporaryFolder;
let path: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  path = folder.database().slice("file:".length);
});
afterEach(() => folder.remove());

test("a file that is no database is named as such, and left as it is", async () => {
  await writeFile(path, "these are my notes, and no database at all\n".repeat(100));
  const before = await readFile(path);
  await expect(LibSQLStore.open(folder.database())).rejects.toThrow(StoreConnectionError);
  await expect(LibSQLStore.open(folder.database())).rejects.toThrow(/not a database/);
  expect(await readFile(path)).toEqual(before);
});

test("a folder that does not exist is not made", async () => {
  const url = `file:${join(folder.path, "missing", "workflows.db")}`;
  await expect(LibSQLStore.open(url)).rejects.toThrow(StoreConnectionError);
  await expect(LibSQLStore.open(url)).rejects.toThrow(/cannot be opened/);
  expect(await readdir(folder.path)).toEqual([]);
});

test("a wrong encryption key is named as such, and never shown", async () => {
  const options = { url: folder.database(), encryptionKey: "right-key" };
  const store = await LibSQLStore.open(options);
  await store.createRun({ runId: "r", workflowId: "w" });
  await store.close();
  const error: unknown = await LibSQLStore.open({ ...options, encryptionKey: "wrong-key" }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(StoreConnectionError);
  expect(String(error)).not.toMatch(/right-key|wrong-key/);
  const again = await LibSQLStore.open(options);
  expect((await again.getRun("r")).workflowId).toBe("w");
  await again.close();
});

describe("with somebody else's tools on the file", () => {
  let store: LibSQLStore;
  let other: Database.Database;
  beforeEach(async () => {
    store = await LibSQLStore.open(folder.database());
    other = new Database(path, { timeout: 5000 });
  });
  afterEach(async () => {
    other.close();
    await store.close();
  });

  test("a corrupt cell is an error where its row is asked for, and stops nobody else", async () => {
    await store.createRun({ runId: "good", workflowId: "w", input: { a: 1 } });
    await store.createRun({ runId: "bad", workflowId: "w", input: { a: 1 }, tags: { a: "b" } });
    other.exec("update workflow_runs set tags = '{broken' where run_id = 'bad'");
    const before = other.prepare("select * from workflow_runs").all();
    const error: unknown = await store.getRun("bad").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CorruptRowError);
    expect(error).toMatchObject({ table: "workflow_runs", column: "tags" });
    expect(String(error)).not.toContain("broken");
    const { runs, corrupt } = await store.listRuns();
    expect(runs.map(({ runId }) => runId)).toEqual(["good"]);
    expect(corrupt).toMatchObject([{ code: "CORRUPT_ROW", column: "tags" }]);
    expect(other.prepare("select * from workflow_runs").all()).toEqual(before);
    const claimed = await store.claimRuns({ workerId: "a", leaseMs: 1000, limit: 5 });
    expect(claimed.map(({ runId }) => runId)).toEqual(["good"]);
  });

  test("the cleanup that everybody writes takes the children along, and the rows can be read", async () => {
    for (const [runId, createdAt] of [
      ["old", new Date(1000)],
      ["new", new Date(3000)],
    ] as const) {
      await store.createRun({ runId, workflowId: "orders", status: "RUNNING", createdAt });
      await store.createStepExecution({ runId, stepId: "s" });
      await store.saveStepAttempt({ runId, stepId: "s", attempt: 1, status: "FAILED" });
      await store.saveStepOutput(runId, "s", { total: 5 });
      await store.saveState(runId, "k", [1]);
    }
    expect(
      other
        .prepare(
          "select workflow_id, status, progress, created_at from workflow_runs where run_id = 'old'",
        )
        .get(),
    ).toMatchObject({ workflow_id: "orders", status: "RUNNING", progress: 0, created_at: 1000 });
    other.exec("pragma foreign_keys=ON; delete from workflow_runs where created_at < 2000");
    for (const table of [
      "workflow_runs",
      "step_executions",
      "step_attempts",
      "step_outputs",
      "workflow_state",
    ]) {
      const rows = other.prepare(`select run_id from ${table}`).raw(true).all();
      expect(rows).toEqual([["new"]]);
    }
    expect((await store.listRuns()).runs.map(({ runId }) => runId)).toEqual(["new"]);
  });
});
