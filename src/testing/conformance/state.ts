import { expect } from "vitest";
import { rejects, givenRun, type StoreTest } from "./environment.ts";

export function describeState(test: StoreTest): void {
  test("a deleted key does not get an earlier revision again", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.saveState(runId, "k", 1);
    await store.saveState(runId, "k", 2);
    await store.saveState(runId, "other", 1);
    await store.deleteState(runId, "k");
    await rejects(store.saveState(runId, "k", 3, { expectedRevision: 2 }), "REVISION_CONFLICT", {
      actualRevision: 0,
    });
    expect(await store.saveState(runId, "k", 3, { expectedRevision: 0 })).toEqual({
      revision: 3,
    });
    await store.batch((write) => {
      write.deleteState(runId, "k");
      write.saveState(runId, "k", 4);
    });
    await rejects(store.saveState(runId, "k", 5, { expectedRevision: 3 }), "REVISION_CONFLICT", {
      actualRevision: 4,
    });
    expect(await store.saveState(runId, "other", 2)).toEqual({ revision: 2 });
  });

  test("state is listed by key", async ({ store }) => {
    const { runId } = await givenRun(store);
    for (const key of ["b", "ä", "a", "Z", "\u{1F600}", "\uFFFD"]) {
      await store.saveState(runId, key, key);
    }
    const keys = ["Z", "a", "b", "ä", "\uFFFD", "\u{1F600}"];
    expect(Object.keys(await store.getAllState(runId))).toEqual(keys);
  });

  test("a value is saved and loaded, and counts its revisions", async ({ store, clock }) => {
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

  test("state needs a run", async ({ store }) => {
    await rejects(store.saveState("unknown", "k", 1), "RUN_NOT_FOUND");
    await rejects(
      store.saveState("unknown", "k", 1, { expectedRevision: 3, workerId: "w" }),
      "RUN_NOT_FOUND",
    );
    await rejects(store.deleteState("unknown", "k", { workerId: "w" }), "RUN_NOT_FOUND");
    await store.deleteState("unknown", "k");
    expect(await store.getAllState("unknown")).toEqual({});
  });

  test("a state entry is found with its revision, or null", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.saveState(runId, "k", null);
    expect(await store.findState(runId, "k")).toEqual(await store.loadStateEntry(runId, "k"));
    expect(await store.findState(runId, "other")).toBeNull();
    expect(await store.findState("unknown", "k")).toBeNull();
  });

  test("a missing key is reported", async ({ store }) => {
    const { runId } = await givenRun(store);
    await rejects(store.loadState(runId, "k"), "STATE_NOT_FOUND", { runId, key: "k" });
    await rejects(store.loadStateEntry(runId, "k"), "STATE_NOT_FOUND");
    await store.deleteState(runId, "k");
  });

  test("a save compares the revision; 0 requires a new key", async ({ store }) => {
    const { runId } = await givenRun(store);
    await rejects(store.saveState(runId, "k", 1, { expectedRevision: 1 }), "REVISION_CONFLICT", {
      runId,
      key: "k",
      expectedRevision: 1,
      actualRevision: 0,
    });
    expect(await store.saveState(runId, "k", 1, { expectedRevision: 0 })).toEqual({
      revision: 1,
    });
    await rejects(store.saveState(runId, "k", 2, { expectedRevision: 0 }), "REVISION_CONFLICT", {
      expectedRevision: 0,
      actualRevision: 1,
    });
    expect(await store.saveState(runId, "k", 2, { expectedRevision: 1 })).toEqual({
      revision: 2,
    });
    expect(await store.loadState(runId, "k")).toBe(2);
  });

  test("concurrent increments that compare revisions lose nothing", async ({ store }) => {
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

  test("state keys may have any name", async ({ store }) => {
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

  test("the fence of a state value is checked before its revision", async ({ store }) => {
    const { runId } = await givenRun(store, { workerId: "holder", status: "RUNNING" });
    await store.saveState(runId, "k", 1, { workerId: "holder" });
    const stranger = { workerId: "stranger" };
    await rejects(
      store.saveState(runId, "k", 2, { ...stranger, expectedRevision: 9 }),
      "LEASE_LOST",
    );
    await rejects(store.deleteState(runId, "k", stranger), "LEASE_LOST");
    expect(await store.loadState(runId, "k")).toBe(1);
    await store.deleteState(runId, "k", { workerId: "holder" });
    expect(await store.getAllState(runId)).toEqual({});
  });
}
