import { describe, expect } from "vitest";
import { expectRejection, givenRun, type StoreTest } from "./environment.ts";

export function describeState(test: StoreTest): void {
  describe("state", () => {
    test("is saved, counted in revisions, and loaded", async ({ store, clock }) => {
      const { runId } = await givenRun(store);
      expect(await store.saveState(runId, "k", { a: 1 })).toEqual({ revision: 1 });
      clock.advance(5);
      expect(await store.saveState(runId, "k", null)).toEqual({ revision: 2 });
      expect(await store.loadState(runId, "k")).toBeNull();
      expect(await store.loadStateEntry(runId, "k")).toEqual({
        value: null,
        revision: 2,
        updatedAt: clock.now(),
      });
    });

    test("needs a run", async ({ store }) => {
      await expectRejection(store.saveState("nobody", "k", 1), "RUN_NOT_FOUND");
      await expectRejection(
        store.saveState("nobody", "k", 1, { expectedRevision: 3, workerId: "w" }),
        "RUN_NOT_FOUND",
      );
      await expectRejection(store.deleteState("nobody", "k", { workerId: "w" }), "RUN_NOT_FOUND");
      await store.deleteState("nobody", "k");
      expect(await store.getAllState("nobody")).toEqual({});
    });

    test("that is missing is named", async ({ store }) => {
      const { runId } = await givenRun(store);
      await expectRejection(store.loadState(runId, "k"), "STATE_NOT_FOUND", { runId, key: "k" });
      await expectRejection(store.loadStateEntry(runId, "k"), "STATE_NOT_FOUND");
      await store.deleteState(runId, "k");
    });

    test("is compared and set on request; revision 0 stands for a new key", async ({ store }) => {
      const { runId } = await givenRun(store);
      await expectRejection(
        store.saveState(runId, "k", 1, { expectedRevision: 1 }),
        "REVISION_CONFLICT",
        { runId, key: "k", expectedRevision: 1, actualRevision: 0 },
      );
      expect(await store.saveState(runId, "k", 1, { expectedRevision: 0 })).toEqual({
        revision: 1,
      });
      await expectRejection(
        store.saveState(runId, "k", 2, { expectedRevision: 0 }),
        "REVISION_CONFLICT",
        { expectedRevision: 0, actualRevision: 1 },
      );
      expect(await store.saveState(runId, "k", 2, { expectedRevision: 1 })).toEqual({
        revision: 2,
      });
      expect(await store.loadState(runId, "k")).toBe(2);
    });

    test("counts to n under n concurrent increments that compare and set", async ({ store }) => {
      const { runId } = await givenRun(store);
      await store.saveState(runId, "count", 0);
      const increment = async (): Promise<void> => {
        const { value, revision } = await store.loadStateEntry(runId, "count");
        try {
          await store.saveState(runId, "count", Number(value) + 1, { expectedRevision: revision });
        } catch (error) {
          expect(error).toMatchObject({ code: "REVISION_CONFLICT" });
          await increment();
        }
      };
      await Promise.all(Array.from({ length: 10 }, increment));
      expect(await store.loadStateEntry(runId, "count")).toMatchObject({ value: 10, revision: 11 });
    });

    test("is given as a whole, whatever its keys are called", async ({ store }) => {
      const { runId } = await givenRun(store);
      const keys = ["b", "a", "__proto__", "constructor", "ключ", "\u{1f511}"];
      for (const key of keys) await store.saveState(runId, key, key);
      const all = await store.getAllState(runId);
      expect(Object.keys(all).toSorted()).toEqual(keys.toSorted());
      for (const key of keys) {
        expect(Object.getOwnPropertyDescriptor(all, key)?.value, key).toBe(key);
      }
      await store.deleteState(runId, "__proto__");
      expect(Object.keys(await store.getAllState(runId))).toHaveLength(keys.length - 1);
    });

    test("begins anew after it was deleted", async ({ store }) => {
      const { runId } = await givenRun(store);
      await store.saveState(runId, "k", 1);
      await store.saveState(runId, "k", 2);
      await store.deleteState(runId, "k");
      expect(await store.saveState(runId, "k", 3, { expectedRevision: 0 })).toEqual({
        revision: 1,
      });
    });

    test("obeys the fence before the revision", async ({ store }) => {
      const { runId } = await givenRun(store, { workerId: "holder", status: "RUNNING" });
      await store.saveState(runId, "k", 1, { workerId: "holder" });
      const stranger = { workerId: "stranger" };
      await expectRejection(
        store.saveState(runId, "k", 2, { ...stranger, expectedRevision: 9 }),
        "LEASE_LOST",
      );
      await expectRejection(store.deleteState(runId, "k", stranger), "LEASE_LOST");
      expect(await store.loadState(runId, "k")).toBe(1);
      await store.deleteState(runId, "k", { workerId: "holder" });
      expect(await store.getAllState(runId)).toEqual({});
    });
  });
}
