import { sql } from "drizzle-orm";
import { expect, test } from "vitest";
import { RevisionConflictError, StoreConnectionError } from "../../src/errors.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { createBulkChanges } from "../../src/stores/bulk-changes.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { observe } from "../engine/support/observed-store.ts";
import { fileUrl, openStore } from "../engine/support/stores.ts";

/** The bulk changes of the store. `before` runs before each of their updates. */
function bulkChanges(store: WorkflowStore, before: (runId: string) => Promise<unknown>) {
  return createBulkChanges(
    observe(store, async (operation, carryOut, args) => {
      if (operation === "updateRun") await before(args[0] as string);
      return carryOut();
    }),
  );
}

test("a run that changes before its turn is changed if it still matches", async () => {
  const store = new MemoryStore();
  for (const runId of ["still", "no more"]) {
    await store.createRun({ runId, workflowId: "w", resourceId: "r" });
  }
  const updated = new Set<string>();
  const { cancelRuns } = bulkChanges(store, async (runId) => {
    if (updated.has(runId)) return;
    updated.add(runId);
    await store.updateRun(runId, runId === "still" ? { progress: 0.5 } : { resourceId: "other" });
  });
  expect(await cancelRuns({ resourceId: "r" })).toMatchObject({ changedRuns: 1, refusedRuns: 0 });
  expect((await store.getRun("still")).status).toBe("CANCELLED");
  expect((await store.getRun("no more")).status).toBe("PENDING");
});

test("a run that changes all the time is refused if its changes may matter", async () => {
  const store = new MemoryStore();
  await store.createRun({ runId: "busy", workflowId: "w", status: "RUNNING" });
  const { cancelRuns } = bulkChanges(store, (runId) => store.updateRun(runId, {}));
  expect(await cancelRuns({ status: "RUNNING" })).toEqual({
    dryRun: false,
    changedRuns: 0,
    refusedRuns: 1,
    refused: [{ runId: "busy", error: expect.any(RevisionConflictError) as Error }],
  });
  expect((await store.getRun("busy")).revision).toBe(11);
  expect(await cancelRuns({ workflowId: "w" })).toMatchObject({ changedRuns: 1, refusedRuns: 0 });
});

test.each([{ resourceId: "r" }, { workflowId: "w" }])(
  "a run that becomes unreadable during the change to %o is named, and the others are changed",
  async (filter) => {
    const store = await openStore(await fileUrl());
    const runIds = ["a", "b", "c"];
    for (const runId of runIds) await store.createRun({ runId, workflowId: "w", resourceId: "r" });
    const updated = new Set<string>();
    const { cancelRuns } = bulkChanges(store, async (runId) => {
      if (updated.has(runId)) return;
      updated.add(runId);
      const tags = runId === "b" ? "{" : "{}";
      await store.db.run(
        sql`update workflow_runs set revision = revision + 1, tags = ${tags} where run_id = ${runId}`,
      );
    });
    expect(await cancelRuns(filter)).toMatchObject({
      changedRuns: 2,
      refusedRuns: 1,
      refused: [{ runId: "b", error: { code: "CORRUPT_ROW" } }],
    });
    const others = await store.getRuns(["a", "c"]);
    expect(others.map(({ status }) => status)).toEqual(["CANCELLED", "CANCELLED"]);
  },
);

test("a bulk change that fails after a batch says that runs may have been changed", async () => {
  const store = new MemoryStore();
  for (const runId of ["a", "b"]) await store.createRun({ runId, workflowId: "w" });
  const failure = new StoreConnectionError({ reason: "the server is away", outcome: "none" });
  const seen: number[] = [];
  const onProgress = ({ changedRuns }: { changedRuns: number }) => seen.push(changedRuns);
  const failing = (failingId: string) =>
    bulkChanges(store, async (runId) => {
      if (runId === failingId) throw failure;
    });
  await expect(failing("b").cancelRuns({}, { batchSize: 1 })).rejects.toBe(failure);
  await expect(failing("a").cancelRuns({}, { batchSize: 2, onProgress })).rejects.toMatchObject({
    code: "STORE_CONNECTION",
    outcome: "unknown",
    cause: failure,
  });
  expect(seen).toEqual([1]);
});
