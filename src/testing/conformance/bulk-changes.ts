import { expect } from "vitest";
import type { BulkProgress } from "../../model/bulk-changes.ts";
import type { Tags } from "../../schema/json-types.ts";
import type { NewWorkflowRun } from "../../schema/rows.ts";
import { runStatuses } from "../../statuses.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { givenRun, idsOf, listAll, rejectsArgument, type StoreTest } from "./environment.ts";

/** One run of each status, and two PENDING runs of another workflow. All have the tag `shop`, and different times. */
async function givenRuns(store: WorkflowStore): Promise<void> {
  const runs: NewWorkflowRun[] = [
    ...runStatuses.map((status) => ({ runId: status, workflowId: "orders", status })),
    { runId: "other-1", workflowId: "other" },
    { runId: "other-2", workflowId: "other", tags: { shop: "b" } },
  ];
  for (const [index, run] of runs.entries()) {
    await givenRun(store, { tags: { shop: "a" }, createdAt: new Date(index), ...run });
  }
}

async function statusesOf(store: WorkflowStore): Promise<Record<string, string>> {
  const { runs } = await store.listRuns();
  return Object.fromEntries(runs.map(({ runId, status }) => [runId, status]));
}

const unchanged = {
  ...Object.fromEntries(runStatuses.map((status) => [status, status])),
  "other-1": "PENDING",
  "other-2": "PENDING",
};
const report = (changedRuns: number) => ({
  dryRun: false,
  changedRuns,
  refusedRuns: 0,
  refused: [],
});

export function describeBulkChanges(test: StoreTest): void {
  test("unfinished runs that match are cancelled as by an update", async ({ store, clock }) => {
    await givenRuns(store);
    await store.claimRuns({ workerId: "w", leaseMs: 1000, limit: 1 });
    clock.advance(10);
    expect(await store.cancelRuns({ workflowId: "orders" })).toEqual(report(2));
    expect(await statusesOf(store)).toEqual({
      ...unchanged,
      PENDING: "CANCELLED",
      RUNNING: "CANCELLED",
    });
    expect(await store.getRun("PENDING")).toMatchObject({
      completedAt: clock.now(),
      updatedAt: clock.now(),
      leaseExpiresAt: null,
      workerId: "w",
      revision: 3,
    });
    expect(await store.cancelRuns({ workflowId: "orders" })).toEqual(report(0));
  });

  test("failed and cancelled runs that match are reopened", async ({ store }) => {
    await givenRuns(store);
    expect(await store.reopenRuns({ status: "FAILED" })).toEqual(report(1));
    expect(await statusesOf(store)).toEqual({ ...unchanged, FAILED: "PENDING" });
    expect(await store.reopenRuns({ tags: { shop: "b" } })).toEqual(report(0));
    expect(await store.reopenRuns({})).toEqual(report(1));
    expect(await store.getRun("CANCELLED")).toMatchObject({ status: "PENDING", completedAt: null });
  });

  test("unfinished runs are deleted only if their status is named", async ({ store }) => {
    await givenRuns(store);
    await store.createStepExecution({ runId: "FAILED", stepId: "s" });
    expect(await store.deleteRuns({})).toEqual(report(3));
    expect(await listAll(store)).toEqual(["other-2", "other-1", "RUNNING", "PENDING"]);
    expect(await store.listStepExecutions("FAILED")).toEqual([]);
    expect(await store.deleteRuns({ status: "PENDING", tags: { shop: "a" } })).toEqual(report(2));
    expect(await listAll(store)).toEqual(["other-2", "RUNNING"]);
  });

  test("the times of a filter limit a bulk change", async ({ store }) => {
    await givenRuns(store);
    const createdAfter = new Date(3);
    const createdBefore = new Date(6);
    await store.cancelRuns({ createdAfter, createdBefore });
    await store.reopenRuns({ createdAfter: new Date(4), createdBefore });
    await store.deleteRuns({ createdBefore: new Date(3) });
    expect(await statusesOf(store)).toEqual({
      PENDING: "PENDING",
      RUNNING: "RUNNING",
      FAILED: "FAILED",
      CANCELLED: "PENDING",
      "other-1": "PENDING",
      "other-2": "PENDING",
    });
  });

  test("a dry run counts the runs that match, and changes nothing", async ({ store }) => {
    await givenRuns(store);
    const dryRun = { ...report(0), dryRun: true };
    const options = { dryRun: true };
    expect(await store.cancelRuns({}, options)).toEqual({ ...dryRun, changedRuns: 4 });
    expect(await store.reopenRuns({}, options)).toEqual({ ...dryRun, changedRuns: 2 });
    expect(await store.deleteRuns({}, options)).toEqual({ ...dryRun, changedRuns: 3 });
    expect(await statusesOf(store)).toEqual(unchanged);
  });

  test("a bulk change tells of each batch, and a later one of the rest", async ({ store }) => {
    const ids: string[] = [];
    for (let index = 0; index < 7; index++) {
      const createdAt = new Date(index);
      ids.unshift((await givenRun(store, { status: "FAILED", createdAt })).runId);
    }
    const batches: BulkProgress[] = [];
    const onProgress = (progress: BulkProgress) => batches.push(progress);
    const abort = new AbortController();
    const reason = new Error("enough");
    await expect(
      store.reopenRuns(
        {},
        {
          batchSize: 3,
          signal: abort.signal,
          onProgress(progress) {
            onProgress(progress);
            abort.abort(reason);
          },
        },
      ),
    ).rejects.toBe(reason);
    expect(await store.countRuns()).toMatchObject({ PENDING: 3, FAILED: 4 });
    expect(await store.reopenRuns({}, { batchSize: 3, onProgress })).toEqual(report(4));
    expect(batches.map(({ changedRuns }) => changedRuns)).toEqual([3, 3, 4]);
    expect(batches.flatMap(({ runs }) => idsOf(runs))).toEqual(ids);
    expect(batches[0]?.runs[0]).toMatchObject({ status: "PENDING", revision: 2 });
    await store.cancelRuns({});
    batches.length = 0;
    await store.deleteRuns({ status: "CANCELLED" }, { onProgress });
    expect(batches.flatMap(({ runs }) => idsOf(runs))).toEqual(ids);
    expect(batches[0]?.runs[0]).toMatchObject({ status: "CANCELLED", revision: 3 });
  });

  test("a run that no longer matches when its turn comes is left alone", async ({ store }) => {
    for (let index = 0; index < 3; index++) {
      const createdAt = new Date(index);
      await givenRun(store, { runId: `r${index}`, status: "FAILED", createdAt });
    }
    let meanwhile: Promise<unknown> = Promise.resolve();
    const onProgress = () => {
      meanwhile = Promise.allSettled([meanwhile, store.reopenRun("r0")]);
    };
    await store.deleteRuns({ status: "FAILED" }, { batchSize: 1, onProgress });
    await meanwhile;
    expect(await statusesOf(store)).toEqual({ r0: "PENDING" });
  });

  test("a run is never both reopened and deleted", async ({ store }) => {
    const ids: string[] = [];
    for (let index = 0; index < 20; index++) {
      ids.push((await givenRun(store, { status: "FAILED" })).runId);
    }
    const deletion = store.deleteRuns({}, { batchSize: 4 });
    const reopened = await Promise.allSettled(ids.map((runId) => store.reopenRun(runId)));
    const { changedRuns } = await deletion;
    const kept = ids.filter((_, index) => reopened[index]?.status === "fulfilled");
    expect(changedRuns + kept.length).toBe(20);
    expect((await listAll(store)).toSorted()).toEqual(kept.toSorted());
  });

  test("an update or deletion of another revision is rejected", async ({ store }) => {
    const { runId } = await givenRun(store, { status: "FAILED" });
    const conflict = { runId, expectedRevision: 2, actualRevision: 1 };
    const stale = { expectedRevision: 2 };
    for (const call of [
      () => store.reopenRun(runId, stale),
      () => store.deleteRun(runId, stale),
      () => store.batch((write) => write.deleteRun(runId, stale)),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "REVISION_CONFLICT", ...conflict });
    }
    expect(await store.deleteRun("unknown", stale)).toBe(false);
    await store.reopenRun(runId, { expectedRevision: 1 });
    expect(await store.deleteRun(runId, { expectedRevision: 2 })).toBe(true);
  });

  test("a filter that cannot be meant, or an unknown option, is rejected", async ({ store }) => {
    await givenRuns(store);
    const calls: [() => Promise<unknown>, string][] = [
      [() => store.cancelRuns({ status: "FAILED" as "PENDING" }), "filter.status"],
      [() => store.cancelRuns({ status: ["RUNNING", "FAILED"] as "RUNNING"[] }), "filter.status"],
      [() => store.reopenRuns({ status: "COMPLETED" as "FAILED" }), "filter.status"],
      [() => store.deleteRuns({ status: [] }), "filter.status"],
      [() => store.deleteRuns({ workflow: "orders" } as object), "filter.workflow"],
      [() => store.deleteRuns({ tags: new Map([["shop", "b"]]) as object as Tags }), "filter.tags"],
      [() => store.deleteRuns(undefined as unknown as object), "filter"],
      [() => store.deleteRuns({}, { batchSize: 0 }), "options.batchSize"],
      [() => store.deleteRuns({}, { dryrun: true } as object), "options.dryrun"],
    ];
    for (const [call, argument] of calls) await rejectsArgument(call(), argument);
    expect(await statusesOf(store)).toEqual(unchanged);
  });
}
