import { expect } from "vitest";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { givenRun, listAll, type StoreTest, rejectsArgument, rowCounts } from "./environment.ts";

/** Ten finished runs, one per day, of two workflows in turn, and a PENDING and a RUNNING run. */
async function givenHistory(store: WorkflowStore): Promise<void> {
  for (let day = 1; day <= 10; day++) {
    const runId = `day-${String(day).padStart(2, "0")}`;
    const at = new Date(Date.UTC(2025, 0, day));
    await givenRun(store, {
      runId,
      workflowId: day % 2 === 0 ? "even" : "odd",
      status: day % 5 === 0 ? "FAILED" : "COMPLETED",
      createdAt: at,
      // A run that was not stored by the engine may lack its completion.
      completedAt: day === 3 ? null : at,
      updatedAt: at,
      input: "12345678",
    });
    await store.createStepExecution({ runId, stepId: "a", input: "1234" });
    await store.saveStepAttempt({
      runId,
      stepId: "a",
      attempt: 1,
      status: "FAILED",
      error: "123",
    });
    await store.saveStepOutput(runId, "a", "12");
    await store.saveState(runId, "k", 1);
  }
  const old = new Date(0);
  await givenRun(store, { runId: "pending", workflowId: "odd", createdAt: old, updatedAt: old });
  await givenRun(store, { runId: "running", status: "RUNNING", createdAt: old, updatedAt: old });
}

const cutoff = new Date(Date.UTC(2025, 0, 8));

export function describeMaintenance(test: StoreTest): void {
  test("a prune deletes finished runs before the cutoff (exclusive)", async ({ store }) => {
    await givenHistory(store);
    const report = await store.pruneRuns({ olderThan: cutoff });
    expect(report).toMatchObject({
      dryRun: false,
      deletedRuns: 7,
      deletedStepExecutions: 7,
      deletedStepAttempts: 7,
      deletedStepOutputs: 7,
      deletedState: 7,
      deletedOrphans: 0,
      remainingRuns: 5,
      deletedBytes: 7 * (10 + 6 + 5 + 4 + 1),
    });
    expect(await listAll(store)).toEqual(["day-10", "day-09", "day-08", "running", "pending"]);
    expect((await store.stats()).rows).toEqual(rowCounts(5, 3));
  });

  test("a dry run reports the result of a prune of any batch size", async ({ store }) => {
    await givenHistory(store);
    const { freedBytes: _dry, ...planned } = await store.pruneRuns({
      olderThan: cutoff,
      dryRun: true,
    });
    expect(await listAll(store)).toHaveLength(12);
    const progress: number[] = [];
    const { freedBytes: _done, ...report } = await store.pruneRuns({
      olderThan: cutoff,
      batchSize: 2,
      onProgress: ({ deletedRuns }) => progress.push(deletedRuns),
    });
    expect(report).toEqual({ ...planned, dryRun: false });
    expect(progress.length).toBeGreaterThan(2);
    expect(progress.at(-1)).toBe(7);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  });

  test("a prune is limited to the named statuses and workflow", async ({ store }) => {
    await givenHistory(store);
    const failed = { olderThan: cutoff, statuses: ["FAILED", "FAILED"] } as const;
    for (const dryRun of [true, false]) {
      expect(await store.pruneRuns({ ...failed, dryRun })).toMatchObject({ deletedRuns: 1 });
    }
    expect(await store.pruneRuns({ olderThan: cutoff, workflowId: "odd" })).toMatchObject({
      deletedRuns: 3,
    });
    expect(
      await store.pruneRuns({ olderThan: cutoff, statuses: ["PENDING", "RUNNING"] }),
    ).toMatchObject({ deletedRuns: 2 });
    expect(await listAll(store)).toEqual([
      "day-10",
      "day-09",
      "day-08",
      "day-06",
      "day-04",
      "day-02",
    ]);
    expect(await store.pruneRuns({ olderThan: cutoff, statuses: [] })).toMatchObject({
      deletedRuns: 0,
    });
  });

  test("a prune keeps the newest runs of each workflow", async ({ store }) => {
    await givenHistory(store);
    const olderThan = new Date(Date.UTC(2026, 0, 1));
    expect(await store.pruneRuns({ olderThan, keepLast: 2 })).toMatchObject({ deletedRuns: 6 });
    expect(await listAll(store)).toEqual([
      "day-10",
      "day-09",
      "day-08",
      "day-07",
      "running",
      "pending",
    ]);
    expect(await store.pruneRuns({ olderThan, keepLast: 1000 })).toMatchObject({
      deletedRuns: 0,
    });
  });

  test("an aborted prune keeps its deletions", async ({ store }) => {
    await givenHistory(store);
    const abort = new AbortController();
    const reason = new Error("enough");
    await expect(
      store.pruneRuns({
        olderThan: cutoff,
        batchSize: 1,
        signal: abort.signal,
        onProgress: ({ deletedRuns }) => {
          if (deletedRuns === 2) abort.abort(reason);
        },
      }),
    ).rejects.toBe(reason);
    expect(await listAll(store)).toHaveLength(10);
    expect(await store.pruneRuns({ olderThan: cutoff })).toMatchObject({ deletedRuns: 5 });
  });

  test("an invalid policy is rejected", async ({ store }) => {
    const bad: [Record<string, unknown>, string][] = [
      [{}, "policy.olderThan"],
      [{ olderThan: new Date(Number.NaN) }, "policy.olderThan"],
      [{ olderThan: cutoff, statuses: ["DONE"] }, "policy.statuses[0]"],
      [{ olderThan: cutoff, batchSize: 0 }, "policy.batchSize"],
      [{ olderThan: cutoff, keepLast: -1 }, "policy.keepLast"],
      [{ olderThan: cutoff, dryrun: true }, "policy.dryrun"],
    ];
    for (const [policy, argument] of bad) {
      await rejectsArgument(
        store.pruneRuns(policy as unknown as Parameters<WorkflowStore["pruneRuns"]>[0]),
        argument,
      );
    }
  });

  test("stats count rows and statuses, and find the oldest run", async ({ store }) => {
    expect(await store.stats()).toMatchObject({
      rows: rowCounts(0),
      oldestRunAt: null,
      newestRunAt: null,
    });
    await givenHistory(store);
    expect(await store.stats()).toMatchObject({
      rows: rowCounts(12, 10),
      runs: { PENDING: 1, RUNNING: 1, COMPLETED: 8, FAILED: 2, CANCELLED: 0 },
      oldestRunAt: new Date(0),
      newestRunAt: new Date(Date.UTC(2025, 0, 10)),
    });
  });
}
