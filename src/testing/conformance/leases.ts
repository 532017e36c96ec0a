import { expect } from "vitest";
import type { WorkflowVersion } from "../../model/leases.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import {
  idsOf,
  rejects,
  givenRun,
  summaryOf,
  type StoreTest,
  rejectsArgument,
} from "./environment.ts";

const lease = { leaseMs: 1000, limit: 10 };

const versionsOf = (...workflowIds: string[]): WorkflowVersion[] =>
  workflowIds.map((workflowId) => ({ workflowId, workflowVersion: "1" }));

/** The version of the runs of `givenRun`. */
const orders = { workflowId: "orders", workflowVersion: "1" };

type Fence = { readonly workerId: string; readonly attempt?: number };

/** All writes that take a fence. */
function fencedWrites(store: WorkflowStore, runId: string) {
  const attempt = { runId, stepId: "a", attempt: 1, status: "FAILED" } as const;
  const writes: ((fence: Fence) => Promise<unknown>)[] = [
    (fence) => store.updateRun(runId, {}, fence),
    (fence) => store.updateStepExecution(runId, "a", { error: 1 }, fence),
    (fence) => store.saveStepOutput(runId, "a", 1, fence),
    (fence) => store.saveStepAttempt(attempt, fence),
    (fence) => store.saveState(runId, "k", 1, fence),
    (fence) => store.deleteState(runId, "k", fence),
    (fence) => store.batch(() => {}, { fence: { runId, ...fence } }),
    (fence) => store.batch((write) => write.updateRun(runId, {}, fence)),
    (fence) => store.batch((write) => write.saveState(runId, "k", 1, fence)),
    (fence) => store.batch((write) => write.deleteState(runId, "k", fence)),
  ];
  return writes;
}

export function describeLeases(test: StoreTest): void {
  test("a claim takes the oldest PENDING runs, which become RUNNING", async ({ store, clock }) => {
    const input = { secret: 1 };
    for (const runId of ["c", "a", "b"]) {
      clock.advance(1);
      await givenRun(store, { runId, input, tags: { a: "1" } });
    }
    clock.advance(1);
    const claimed = await store.claimRuns({ workerId: "w", leaseMs: 1000, limit: 2 });
    expect(idsOf(claimed)).toEqual(["c", "a"]);
    const summary = summaryOf(await store.getRun("c"));
    expect(claimed[0]).toEqual(summary);
    expect(summary).toMatchObject({
      status: "RUNNING",
      workerId: "w",
      claimedAt: clock.now(),
      leaseExpiresAt: new Date(clock.now().getTime() + 1000),
      attempt: 1,
      revision: 2,
      startedAt: clock.now(),
      updatedAt: clock.now(),
      tags: { a: "1" },
    });
    expect(await store.getRun("b")).toMatchObject({ status: "PENDING", workerId: null });
  });

  test("claims break ties by run id", async ({ store }) => {
    const createdAt = new Date(5);
    for (const runId of ["\u{10000}", "\uffee", "b", "a"]) {
      await givenRun(store, { runId, createdAt });
    }
    const claimed = await store.claimRuns({ workerId: "w", ...lease });
    expect(idsOf(claimed)).toEqual(["a", "b", "\uffee", "\u{10000}"]);
  });

  test("a claim takes runs with an expired lease, oldest first", async ({ store, clock }) => {
    await givenRun(store, { runId: "old" });
    await store.claimRuns({ workerId: "w1", leaseMs: 1000, limit: 1 });
    clock.advance(1);
    await givenRun(store, { runId: "new" });
    clock.advance(998);
    expect((await store.claimRuns({ workerId: "w2", leaseMs: 10, limit: 1 }))[0]?.runId).toBe(
      "new",
    );
    clock.advance(1);
    const [taken] = await store.claimRuns({ workerId: "w3", leaseMs: 1000, limit: 1 });
    expect(taken).toMatchObject({
      runId: "old",
      workerId: "w3",
      attempt: 2,
      startedAt: new Date(clock.now().getTime() - 1000),
      claimedAt: clock.now(),
    });
    expect(await store.getRun("old")).toMatchObject({ claimedAt: clock.now() });
  });

  test("a PENDING run is not claimed before its `wakeAt`", async ({ store, clock }) => {
    const at = (ms: number) => new Date(clock.now().getTime() + ms);
    await givenRun(store, { runId: "later", wakeAt: at(1000) });
    await givenRun(store, { runId: "soon", wakeAt: at(500) });
    await givenRun(store, { runId: "other", workflowId: "other", wakeAt: at(500) });
    const claim = async (workflows?: WorkflowVersion[]) => {
      const claimed = await store.claimRuns({ workerId: "w", ...lease, workflows });
      return idsOf(claimed);
    };
    clock.advance(499);
    expect(await claim()).toEqual([]);
    expect(await claim([orders])).toEqual([]);
    clock.advance(1);
    expect(await claim([orders])).toEqual(["soon"]);
    expect(await store.getRun("soon")).toMatchObject({ wakeAt: clock.now(), attempt: 1 });
    clock.advance(500);
    expect(await claim()).toEqual(["other", "later"]);
  });

  test("a claim takes the runs that have waited longest", async ({ store, clock }) => {
    const at = (ms: number) => new Date(clock.now().getTime() + ms);
    const runs: [string, number, number | null][] = [
      ["woke at 30", 0, 30],
      ["made at 10", 10, null],
      ["woke at 20", 5, 20],
      ["made at 20", 20, null],
      ["woke at 20, too", 4, 20],
      ["made at 40", 40, null],
    ];
    for (const [runId, made, woke] of runs) {
      await givenRun(store, {
        runId,
        createdAt: at(made),
        wakeAt: woke === null ? null : at(woke),
      });
    }
    clock.advance(50);
    const claims: string[][] = [];
    for (const workflows of [[orders], undefined, [orders, ...versionsOf("more")]]) {
      const claimed = await store.claimRuns({ workerId: "w", ...lease, limit: 2, workflows });
      claims.push(idsOf(claimed));
    }
    expect(claims).toEqual([
      ["made at 10", "woke at 20, too"],
      ["woke at 20", "made at 20"],
      ["woke at 30", "made at 40"],
    ]);
  });

  test("a claim takes no run without a lease, and no finished run", async ({ store }) => {
    await givenRun(store, { status: "RUNNING", workerId: "somebody" });
    for (const status of ["COMPLETED", "FAILED", "CANCELLED"] as const) {
      await givenRun(store, { status, leaseExpiresAt: new Date(0) });
    }
    expect(await store.claimRuns({ workerId: "w", ...lease })).toEqual([]);
  });

  test("a claim takes only runs of the named versions", async ({ store }) => {
    for (const { workflowId, workflowVersion } of versionsOf("a", "b", "c")) {
      for (const version of [workflowVersion, "2"]) {
        const values = { workflowId, workflowVersion: version };
        await givenRun(store, { ...values, runId: `${workflowId}${version}-pending` });
        await givenRun(store, {
          ...values,
          runId: `${workflowId}${version}-woken`,
          wakeAt: new Date(0),
        });
        await givenRun(store, {
          ...values,
          runId: `${workflowId}${version}-expired`,
          status: "RUNNING",
          leaseExpiresAt: new Date(0),
        });
      }
    }
    const claim = async (workflows: WorkflowVersion[]) =>
      (await store.claimRuns({ workerId: "w", ...lease, workflows }))
        .map((run) => run.runId)
        .toSorted();
    expect(await claim([])).toEqual([]);
    expect(await claim(versionsOf("a", "c", "a", "unknown"))).toEqual([
      "a1-expired",
      "a1-pending",
      "a1-woken",
      "c1-expired",
      "c1-pending",
      "c1-woken",
    ]);
    const many = versionsOf(...Array.from({ length: 999 }, (_, index) => `w${index}`));
    expect(await claim([...many, { workflowId: "b", workflowVersion: "2" }])).toEqual([
      "b2-expired",
      "b2-pending",
      "b2-woken",
    ]);
    await rejectsArgument(
      store.claimRuns({ workerId: "w", ...lease, workflows: [{ workflowId: "a" }] as never }),
      "claim.workflows[0].workflowVersion",
    );
  });

  test("a claim finds the named runs behind many others", async ({ store, clock }) => {
    const others: [string, string][] = [
      ["orders", "2"],
      ["ord", "ers1"],
      ["orders1", ""],
    ];
    for (let n = 0; n < 12; n++) {
      const [workflowId = "", version = ""] = others[n % 3] ?? [];
      const values = { workflowId, workflowVersion: version || "1" };
      await givenRun(store, values);
      await givenRun(store, { ...values, status: "RUNNING", leaseExpiresAt: new Date(0) });
      clock.advance(1);
    }
    for (const runId of ["first", "second", "third"]) {
      await givenRun(store, { runId });
      clock.advance(1);
    }
    const claim = { workerId: "w", leaseMs: 1000, limit: 2, workflows: [orders] };
    const claims = [await store.claimRuns(claim), await store.claimRuns(claim)];
    expect(claims.map((claimed) => idsOf(claimed))).toEqual([["first", "second"], ["third"]]);
  });

  test("a claim finds a run whose version has changed", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.updateRun(runId, { workflowVersion: "2" });
    const claim = { workerId: "w", ...lease };
    expect(await store.claimRuns({ ...claim, workflows: [orders] })).toEqual([]);
    expect(
      await store.claimRuns({
        ...claim,
        workflows: [{ workflowId: "orders", workflowVersion: "2" }],
      }),
    ).toMatchObject([{ runId }]);
  });

  test("concurrent claims never share a run", async ({ store }) => {
    const runs = await Promise.all(Array.from({ length: 40 }, () => givenRun(store)));
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        store.claimRuns({ workerId: `w${index}`, leaseMs: 1000, limit: 3 }),
      ),
    );
    const taken = claims.flat().map((run) => run.runId);
    expect(taken.toSorted()).toEqual(runs.map((run) => run.runId).toSorted());
  });

  test("extending a lease changes nothing else", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    await store.claimRuns({ workerId: "w", ...lease });
    const before = await store.getRun(runId);
    clock.advance(600);
    const expiry = await store.extendLease({ runId, workerId: "w", leaseMs: 5000 });
    expect(expiry).toEqual(new Date(clock.now().getTime() + 5000));
    expect(await store.getRun(runId)).toEqual({ ...before, leaseExpiresAt: expiry });
  });

  test("extending a lease never ends it earlier", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    await store.claimRuns({ workerId: "w", ...lease });
    const { leaseExpiresAt } = await store.getRun(runId);
    clock.advance(-3_600_000);
    expect(await store.extendLease({ runId, workerId: "w", leaseMs: 1000 })).toEqual(
      leaseExpiresAt,
    );
    expect((await store.getRun(runId)).leaseExpiresAt).toEqual(leaseExpiresAt);
    clock.advance(3_600_000);
    expect(await store.extendLease({ runId, workerId: "w", leaseMs: 500 })).toEqual(leaseExpiresAt);
    expect(await store.claimRuns({ workerId: "x", ...lease })).toEqual([]);
  });

  test("a lease beyond the range of dates is rejected", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    for (const leaseMs of [Number.MAX_SAFE_INTEGER, 8.64e15, 1e13, 0, -1, 0.5]) {
      await rejectsArgument(store.claimRuns({ workerId: "w", leaseMs, limit: 1 }), "claim.leaseMs");
    }
    expect(await store.getRun(runId)).toMatchObject({ status: "PENDING", attempt: 0 });
    await store.claimRuns({ workerId: "w", ...lease });
    await rejectsArgument(
      store.extendLease({ runId, workerId: "w", leaseMs: 1e13 }),
      "lease.leaseMs",
    );
    expect((await store.getRun(runId)).leaseExpiresAt).toEqual(
      new Date(clock.now().getTime() + 1000),
    );
  });

  test("an expired lease can be extended until another claim", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    await store.claimRuns({ workerId: "w1", ...lease });
    clock.advance(5000);
    await store.extendLease({ runId, workerId: "w1", leaseMs: 1000 });
    clock.advance(1000);
    await store.claimRuns({ workerId: "w2", ...lease });
    await rejects(store.extendLease({ runId, workerId: "w1", leaseMs: 1 }), "LEASE_LOST", {
      runId,
      workerId: "w1",
    });
    await rejects(store.releaseLease({ runId, workerId: "w1" }), "LEASE_LOST");
  });

  test("a claim takes no run that the worker still executes", async ({ store, clock }) => {
    for (const runId of ["a", "b"]) await givenRun(store, { runId });
    const claim = { workerId: "w", ...lease };
    const claimed = async (options: { limit?: number; workflows?: WorkflowVersion[] } = {}) => {
      const runs = await store.claimRuns({ ...claim, activeRunIds: ["a", "x"], ...options });
      return runs.map(({ runId }) => runId);
    };
    await store.claimRuns(claim);
    clock.advance(1000);
    expect(await claimed({ limit: 1 })).toEqual(["b"]);
    clock.advance(1000);
    expect(await claimed({ limit: 1, workflows: [orders] })).toEqual(["b"]);
    expect(await store.getRun("a")).toMatchObject({ attempt: 1, lostLeases: 0 });
    await store.releaseLease({ runId: "a", workerId: "w" });
    expect(await claimed()).toEqual(["a"]);
    clock.advance(1000);
    expect(await store.claimRuns(claim)).toHaveLength(2);
  });

  test("a fence holds after expiry, until another claim", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    await store.claimRuns({ workerId: "w1", ...lease });
    clock.advance(5000);
    await store.updateRun(runId, { progress: 0.5 }, { workerId: "w1" });
    await store.claimRuns({ workerId: "w2", ...lease });
    await rejects(store.updateRun(runId, { progress: 0.9 }, { workerId: "w1" }), "LEASE_LOST", {
      runId,
      workerId: "w1",
      status: "RUNNING",
    });
    expect(await store.getRun(runId)).toMatchObject({ progress: 0.5, workerId: "w2" });
  });

  test("a fence distinguishes claims of one worker by attempt", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    await store.createStepExecution({ runId, stepId: "a" });
    await store.claimRuns({ workerId: "pod-0", ...lease });
    clock.advance(1000);
    await store.claimRuns({ workerId: "pod-0", ...lease });
    const before = { workerId: "pod-0", attempt: 1 };
    const after = { workerId: "pod-0", attempt: 2 };
    for (const write of fencedWrites(store, runId)) {
      await rejects(write(before), "LEASE_LOST", { runId, workerId: "pod-0" });
      await write(after);
    }
    const extend = (fence: Fence) => store.extendLease({ runId, ...fence, leaseMs: 2000 });
    await rejects(extend(before), "LEASE_LOST");
    await extend(after);
    await rejects(store.releaseLease({ runId, ...before }), "LEASE_LOST");
    expect(await store.getRun(runId)).toMatchObject({ status: "RUNNING", attempt: 2 });
    await store.releaseLease({ runId, ...after });
    await rejectsArgument(store.updateRun(runId, {}, { attempt: 2 }), "options.attempt");
  });

  test("a fence does not hold once the run is not RUNNING", async ({ store }) => {
    for (const status of ["PENDING", "COMPLETED", "FAILED", "CANCELLED"] as const) {
      const { runId } = await givenRun(store);
      await store.createStepExecution({ runId, stepId: "a" });
      await store.claimRuns({ workerId: "w", ...lease });
      await store.updateRun(runId, { status });
      for (const write of fencedWrites(store, runId)) {
        await rejects(write({ workerId: "w" }), "LEASE_LOST", { runId, status });
      }
      expect(await store.getAllState(runId)).toEqual({});
      await store.deleteRun(runId);
    }
  });

  test("lost leases are counted until progress or release", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    const claim = async () => {
      const [run] = await store.claimRuns({ workerId: "w", ...lease });
      clock.advance(1000);
      return run?.lostLeases;
    };
    const claims = async () => [await claim(), await claim(), await claim()];
    expect(await claims()).toEqual([0, 1, 2]);
    await store.updateRun(runId, { progress: 0 }, { workerId: "w" });
    expect(await store.getRun(runId)).toMatchObject({ lostLeases: 2, attempt: 3 });
    await store.updateRun(runId, { progress: 0.5 }, { workerId: "w" });
    expect(await claims()).toEqual([1, 2, 3]);
    await store.releaseLease({ runId, workerId: "w" });
    expect(await claims()).toEqual([0, 1, 2]);
    await store.updateRun(runId, { status: "PENDING" }, { workerId: "w" });
    expect(await claims()).toEqual([0, 1, 2]);
    await store.updateRun(runId, { status: "FAILED" });
    expect(await store.getRun(runId)).toMatchObject({ lostLeases: 2 });
    await store.reopenRun(runId);
    expect(await claim()).toBe(0);
    await rejectsArgument(store.updateRun(runId, { lostLeases: 0 } as never), "changes.lostLeases");
  });

  test("a released run is PENDING, and any worker may claim it", async ({ store, clock }) => {
    const { runId } = await givenRun(store);
    await store.claimRuns({ workerId: "w1", ...lease });
    clock.advance(1);
    await store.releaseLease({ runId, workerId: "w1" });
    expect(await store.getRun(runId)).toMatchObject({
      status: "PENDING",
      workerId: null,
      claimedAt: null,
      leaseExpiresAt: null,
      revision: 3,
      updatedAt: clock.now(),
    });
    await rejects(store.releaseLease({ runId, workerId: "w1" }), "LEASE_LOST");
    expect(await store.claimRuns({ workerId: "w2", ...lease })).toMatchObject([
      { runId, attempt: 2 },
    ]);
  });

  test("a concurrent claim wins over a release", async ({ store, clock }) => {
    for (let round = 0; round < 5; round++) {
      const { runId } = await givenRun(store);
      await store.claimRuns({ workerId: "w1", ...lease });
      clock.advance(1000);
      const [released, [claimed]] = await Promise.all([
        store.releaseLease({ runId, workerId: "w1" }).then(
          () => true,
          () => false,
        ),
        store.claimRuns({ workerId: "w2", ...lease }),
      ]);
      // The claim has the run, in either order.
      expect(claimed).toMatchObject({ runId, lostLeases: released ? 0 : 1 });
      expect(await store.getRun(runId)).toMatchObject({ status: "RUNNING", workerId: "w2" });
      await store.deleteRun(runId);
    }
  });

  test("the end of a run ends its lease, and keeps its worker", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.claimRuns({ workerId: "w", ...lease });
    expect(await store.updateRun(runId, { status: "COMPLETED" }, { workerId: "w" })).toMatchObject({
      workerId: "w",
      leaseExpiresAt: null,
    });
    await rejects(store.extendLease({ runId, workerId: "w", leaseMs: 1 }), "LEASE_LOST");
  });

  test("a lease of an unknown run is rejected", async ({ store }) => {
    await rejects(
      store.extendLease({ runId: "unknown", workerId: "w", leaseMs: 1 }),
      "RUN_NOT_FOUND",
    );
    await rejects(store.releaseLease({ runId: "unknown", workerId: "w" }), "RUN_NOT_FOUND");
  });

  test("a claim returns large details", async ({ store }) => {
    const tags = { note: "x".repeat(100_000) };
    await givenRun(store, { runId: "large", tags });
    await givenRun(store, { runId: "small", tags: { a: "b" } });
    const claimed = await store.claimRuns({ workerId: "w", ...lease });
    expect(claimed.map((run) => [run.runId, run.tags])).toEqual([
      ["large", tags],
      ["small", { a: "b" }],
    ]);
  });
}
