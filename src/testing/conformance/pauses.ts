import { expect } from "vitest";
import type { WorkflowVersion } from "../../model/leases.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { givenRun, idsOf, rejects, rejectsArgument, type StoreTest } from "./environment.ts";

/** The runs that a claim of these versions returns; of any version by default. */
async function claimed(store: WorkflowStore, workflows?: WorkflowVersion[]): Promise<string[]> {
  return idsOf(await store.claimRuns({ workerId: "w", leaseMs: 1000, limit: 10, workflows }));
}

const versionsOf = (workflowIds: readonly string[]): WorkflowVersion[] =>
  workflowIds.flatMap((workflowId) => [
    { workflowId, workflowVersion: "1" },
    { workflowId, workflowVersion: "2" },
  ]);

/** A claim of any version, of few versions, and of many. */
const claims: readonly (WorkflowVersion[] | undefined)[] = [
  undefined,
  versionsOf(["orders", "mails"]),
  versionsOf(["orders", "mails", ...Array.from({ length: 20 }, (_, index) => `other-${index}`)]),
];

export function describePauses(test: StoreTest): void {
  test("a claim returns no run of a paused workflow, whatever its version", async ({ store }) => {
    await store.pauseWorkflow("orders");
    for (const workflows of claims) {
      await givenRun(store);
      await givenRun(store, { workflowVersion: "2" });
      const { runId } = await givenRun(store, { workflowId: "mails" });
      expect(await claimed(store, workflows)).toEqual([runId]);
    }
    expect(await store.countRuns({ workflowId: "orders" })).toMatchObject({ PENDING: 6 });
  });

  test("a claim passes over any number of runs of a paused workflow", async ({ store, clock }) => {
    for (let count = 0; count < 15; count++) await givenRun(store);
    clock.advance(1);
    const { runId } = await givenRun(store, { workflowId: "mails" });
    await store.pauseWorkflow("orders");
    expect(await claimed(store)).toEqual([runId]);
  });

  test("runs of a paused workflow that slept or lost their lease are not claimed", async ({
    store,
    clock,
  }) => {
    await givenRun(store);
    expect(await claimed(store)).toHaveLength(1);
    await givenRun(store, { wakeAt: new Date(clock.now().getTime() + 500) });
    await store.pauseWorkflow("orders");
    clock.advance(1000);
    for (const workflows of claims) expect(await claimed(store, workflows)).toEqual([]);
    await store.resumeWorkflow("orders");
    expect(await claimed(store)).toHaveLength(2);
  });

  test("a run that is held when its workflow is paused continues", async ({ store }) => {
    const { runId } = await givenRun(store);
    await claimed(store);
    await store.pauseWorkflow("orders");
    const fence = { workerId: "w", attempt: 1 };
    await store.extendLease({ runId, ...fence, leaseMs: 2000 });
    await store.createStepExecution({ runId, stepId: "a" });
    await store.saveStepOutput(runId, "a", 1, fence);
    await store.updateRun(runId, { status: "COMPLETED" }, fence);
    expect(await store.getRun(runId)).toMatchObject({ status: "COMPLETED" });
  });

  test("a claim returns the runs of a resumed workflow, oldest first", async ({ store, clock }) => {
    await store.pauseWorkflow("orders");
    const first = await givenRun(store);
    clock.advance(1);
    const second = await givenRun(store);
    expect(await claimed(store)).toEqual([]);
    expect(await store.resumeWorkflow("orders")).toBe(true);
    expect(await claimed(store)).toEqual(idsOf([first, second]));
  });

  test("a pause keeps its time and its first reason", async ({ store, clock }) => {
    const pausedAt = clock.now();
    expect(await store.pauseWorkflow("orders", { reason: "incident 7 🐘" })).toBe(true);
    clock.advance(1);
    expect(await store.pauseWorkflow("orders", { reason: "another" })).toBe(false);
    expect(await store.pauseWorkflow("mails")).toBe(true);
    expect(await store.listPausedWorkflows()).toEqual([
      { workflowId: "mails", pausedAt: clock.now(), reason: null },
      { workflowId: "orders", pausedAt, reason: "incident 7 🐘" },
    ]);
  });

  test("a copied pause has the time of the original", async ({ store }) => {
    const pausedAt = new Date(5);
    await store.pauseWorkflow("orders", { pausedAt });
    expect(await store.listPausedWorkflows()).toMatchObject([{ pausedAt }]);
  });

  test("a workflow that is not paused cannot be resumed", async ({ store }) => {
    await store.pauseWorkflow("mails");
    expect(await store.resumeWorkflow("orders")).toBe(false);
    expect(await store.resumeWorkflow("mails")).toBe(true);
    expect(await store.resumeWorkflow("mails")).toBe(false);
    expect(await store.listPausedWorkflows()).toEqual([]);
  });

  test("paused workflows are listed in the order of their ids in UTF-8", async ({ store }) => {
    const ids = ["a", "b", "\uffee", "\u{10000}"];
    for (const workflowId of ids.toReversed()) await store.pauseWorkflow(workflowId);
    const listed = await store.listPausedWorkflows();
    expect(listed.map(({ workflowId }) => workflowId)).toEqual(ids);
    listed.pop();
    expect(await store.listPausedWorkflows()).toHaveLength(4);
  });

  test("a pause is kept when all runs of its workflow are deleted", async ({ store }) => {
    const { runId } = await givenRun(store, { status: "COMPLETED" });
    await store.pauseWorkflow("orders");
    await store.pruneRuns({ olderThan: new Date(8e15) });
    await store.deleteRun(runId);
    expect(await store.listPausedWorkflows()).toHaveLength(1);
  });

  test("the arguments of a pause are checked", async ({ store }) => {
    for (const bad of ["", "a\0b", 5, undefined] as string[]) {
      await rejectsArgument(store.pauseWorkflow(bad), "workflowId");
      await rejectsArgument(store.resumeWorkflow(bad), "workflowId");
    }
    for (const reason of ["", "a\0b", "\ud800", "x".repeat(1001), 5] as string[]) {
      await rejectsArgument(store.pauseWorkflow("orders", { reason }), "options.reason");
    }
    const pausedAt = new Date(Number.NaN);
    await rejectsArgument(store.pauseWorkflow("orders", { pausedAt }), "options.pausedAt");
    const unknown = { until: new Date() } as object;
    await rejects(store.pauseWorkflow("orders", unknown), "INVALID_ARGUMENT");
    await rejects(store.resumeWorkflow("orders", unknown), "INVALID_ARGUMENT");
    await rejects(store.listPausedWorkflows(unknown), "INVALID_ARGUMENT");
    expect(await store.listPausedWorkflows()).toEqual([]);
  });
}
