import { describe, expect } from "vitest";
import { expectRejection, givenRun, type StoreTest } from "./environment.ts";

const lease = { leaseMs: 1000, limit: 10 };

export function describeLeases(test: StoreTest): void {
  describe("leases", () => {
    test("go to the oldest PENDING runs, which become RUNNING", async ({ store, clock }) => {
      const input = { secret: 1 };
      for (const runId of ["c", "a", "b"]) {
        clock.advance(1);
        await givenRun(store, { runId, input, tags: { a: "1" } });
      }
      clock.advance(1);
      const claimed = await store.claimRuns({ workerId: "w", leaseMs: 1000, limit: 2 });
      expect(claimed.map((run) => run.runId)).toEqual(["c", "a"]);
      const {
        input: _input,
        output: _output,
        context: _context,
        ...summary
      } = await store.getRun("c");
      expect(claimed[0]).toEqual(summary);
      expect(summary).toMatchObject({
        status: "RUNNING",
        workerId: "w",
        leaseExpiresAt: new Date(clock.now().getTime() + 1000),
        attempt: 1,
        revision: 2,
        startedAt: clock.now(),
        updatedAt: clock.now(),
        tags: { a: "1" },
      });
      expect(await store.getRun("b")).toMatchObject({ status: "PENDING", workerId: null });
    });

    test("break ties by run id", async ({ store }) => {
      const createdAt = new Date(5);
      for (const runId of ["\u{10000}", "\uffee", "b", "a"]) {
        await givenRun(store, { runId, createdAt });
      }
      const claimed = await store.claimRuns({ workerId: "w", ...lease });
      expect(claimed.map((run) => run.runId)).toEqual(["a", "b", "\uffee", "\u{10000}"]);
    });

    test("pass on once they have run out, oldest run first", async ({ store, clock }) => {
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
      });
    });

    test("leave a PENDING run alone until it is to wake", async ({ store, clock }) => {
      const at = (ms: number) => new Date(clock.now().getTime() + ms);
      await givenRun(store, { runId: "later", wakeAt: at(1000) });
      await givenRun(store, { runId: "soon", wakeAt: at(500) });
      await givenRun(store, { runId: "other", workflowId: "other", wakeAt: at(500) });
      const claim = async (workflowIds?: string[]) => {
        const claimed = await store.claimRuns({ workerId: "w", ...lease, workflowIds });
        return claimed.map((run) => run.runId);
      };
      clock.advance(499);
      expect(await claim()).toEqual([]);
      expect(await claim(["orders"])).toEqual([]);
      clock.advance(1);
      expect(await claim(["orders"])).toEqual(["soon"]);
      expect(await store.getRun("soon")).toMatchObject({ wakeAt: clock.now(), attempt: 1 });
      clock.advance(500);
      expect(await claim()).toEqual(["other", "later"]);
    });

    test("go to the runs that have waited longest, since they were made or since they woke", async ({
      store,
      clock,
    }) => {
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
      for (const workflowIds of [["orders"], undefined, ["orders", "more"]]) {
        const claimed = await store.claimRuns({ workerId: "w", ...lease, limit: 2, workflowIds });
        claims.push(claimed.map((run) => run.runId));
      }
      expect(claims).toEqual([
        ["made at 10", "woke at 20, too"],
        ["woke at 20", "made at 20"],
        ["woke at 30", "made at 40"],
      ]);
    });

    test("leave a RUNNING run without a lease, and what is finished, alone", async ({ store }) => {
      await givenRun(store, { status: "RUNNING", workerId: "somebody" });
      for (const status of ["COMPLETED", "FAILED", "CANCELLED"] as const) {
        await givenRun(store, { status, leaseExpiresAt: new Date(0) });
      }
      expect(await store.claimRuns({ workerId: "w", ...lease })).toEqual([]);
    });

    test("keep to the workflows that the claim names", async ({ store }) => {
      for (const workflowId of ["a", "b", "c"]) {
        await givenRun(store, { runId: `${workflowId}-pending`, workflowId });
        await givenRun(store, {
          runId: `${workflowId}-expired`,
          workflowId,
          status: "RUNNING",
          leaseExpiresAt: new Date(0),
        });
      }
      const claim = async (workflowIds: string[]) =>
        (await store.claimRuns({ workerId: "w", ...lease, workflowIds }))
          .map((run) => run.runId)
          .toSorted();
      expect(await claim([])).toEqual([]);
      expect(await claim(["a", "c", "a", "unknown"])).toEqual([
        "a-expired",
        "a-pending",
        "c-expired",
        "c-pending",
      ]);
      const many = Array.from({ length: 200 }, (_, index) => `w${index}`);
      expect(await claim([...many, "b"])).toEqual(["b-expired", "b-pending"]);
    });

    test("leave the versions alone that the claim excepts", async ({ store }) => {
      for (const workflowId of ["a", "b"]) {
        for (const workflowVersion of ["1", "2"]) {
          const values = { workflowId, workflowVersion };
          await givenRun(store, { ...values, runId: workflowId + workflowVersion });
          await givenRun(store, {
            ...values,
            runId: `${workflowId}${workflowVersion}-expired`,
            status: "RUNNING",
            leaseExpiresAt: new Date(0),
          });
        }
      }
      const except = [
        { workflowId: "a", workflowVersion: "2" },
        { workflowId: "b", workflowVersion: "1" },
      ];
      const claim = async (workflowIds?: string[]) =>
        (await store.claimRuns({ workerId: "w", ...lease, workflowIds, except }))
          .map((run) => run.runId)
          .toSorted();
      expect(await claim(["a"])).toEqual(["a1", "a1-expired"]);
      expect(await claim()).toEqual(["b2", "b2-expired"]);
      expect(await claim()).toEqual([]);
      await expectRejection(
        store.claimRuns({ workerId: "w", ...lease, except: [{ workflowId: "a" }] as never }),
        "INVALID_ARGUMENT",
        { argument: "claim.except[0].workflowVersion" },
      );
    });

    test("never give one run to two workers", async ({ store }) => {
      const runs = await Promise.all(Array.from({ length: 40 }, () => givenRun(store)));
      const claims = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          store.claimRuns({ workerId: `w${index}`, leaseMs: 1000, limit: 3 }),
        ),
      );
      const taken = claims.flat().map((run) => run.runId);
      expect(taken.toSorted()).toEqual(runs.map((run) => run.runId).toSorted());
    });

    test("are extended without any other change", async ({ store, clock }) => {
      const { runId } = await givenRun(store);
      await store.claimRuns({ workerId: "w", ...lease });
      const before = await store.getRun(runId);
      clock.advance(600);
      const expiry = await store.extendLease({ runId, workerId: "w", leaseMs: 5000 });
      expect(expiry).toEqual(new Date(clock.now().getTime() + 5000));
      expect(await store.getRun(runId)).toEqual({ ...before, leaseExpiresAt: expiry });
    });

    test("can be extended past their end, until somebody else claims", async ({ store, clock }) => {
      const { runId } = await givenRun(store);
      await store.claimRuns({ workerId: "w1", ...lease });
      clock.advance(5000);
      await store.extendLease({ runId, workerId: "w1", leaseMs: 1000 });
      clock.advance(1000);
      await store.claimRuns({ workerId: "w2", ...lease });
      await expectRejection(
        store.extendLease({ runId, workerId: "w1", leaseMs: 1 }),
        "LEASE_LOST",
        {
          runId,
          workerId: "w1",
        },
      );
      await expectRejection(store.releaseLease({ runId, workerId: "w1" }), "LEASE_LOST");
    });

    test("fence writes while the worker matches, even past expiry", async ({ store, clock }) => {
      const { runId } = await givenRun(store);
      await store.claimRuns({ workerId: "w1", ...lease });
      clock.advance(5000);
      await store.updateRun(runId, { progress: 0.5 }, { workerId: "w1" });
      await store.claimRuns({ workerId: "w2", ...lease });
      await expectRejection(
        store.updateRun(runId, { progress: 0.9 }, { workerId: "w1" }),
        "LEASE_LOST",
      );
      expect(await store.getRun(runId)).toMatchObject({ progress: 0.5, workerId: "w2" });
    });

    test("are released: the run is PENDING and anybody's", async ({ store, clock }) => {
      const { runId } = await givenRun(store);
      await store.claimRuns({ workerId: "w1", ...lease });
      clock.advance(1);
      await store.releaseLease({ runId, workerId: "w1" });
      expect(await store.getRun(runId)).toMatchObject({
        status: "PENDING",
        workerId: null,
        leaseExpiresAt: null,
        revision: 3,
        updatedAt: clock.now(),
      });
      await expectRejection(store.releaseLease({ runId, workerId: "w1" }), "LEASE_LOST");
      expect(await store.claimRuns({ workerId: "w2", ...lease })).toMatchObject([
        { runId, attempt: 2 },
      ]);
    });

    test("end with the run, which keeps the name of its last worker", async ({ store }) => {
      const { runId } = await givenRun(store);
      await store.claimRuns({ workerId: "w", ...lease });
      expect(
        await store.updateRun(runId, { status: "COMPLETED" }, { workerId: "w" }),
      ).toMatchObject({ workerId: "w", leaseExpiresAt: null });
      await expectRejection(store.extendLease({ runId, workerId: "w", leaseMs: 1 }), "LEASE_LOST");
    });

    test("of an unknown run are refused by its name", async ({ store }) => {
      await expectRejection(
        store.extendLease({ runId: "nobody", workerId: "w", leaseMs: 1 }),
        "RUN_NOT_FOUND",
      );
      await expectRejection(
        store.releaseLease({ runId: "nobody", workerId: "w" }),
        "RUN_NOT_FOUND",
      );
    });

    test("come with large details as well", async ({ store }) => {
      const tags = { note: "x".repeat(100_000) };
      await givenRun(store, { runId: "large", tags });
      await givenRun(store, { runId: "small", tags: { a: "b" } });
      const claimed = await store.claimRuns({ workerId: "w", ...lease });
      expect(claimed.map((run) => [run.runId, run.tags])).toEqual([
        ["large", tags],
        ["small", { a: "b" }],
      ]);
    });
  });
}
