import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, onTestFinished, vi } from "vitest";
import { StoreConnectionError } from "../../src/errors.ts";
import { untilAborted } from "../../src/async/abort.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { compareStores, copyStore, MirroredStore } from "../../src/transfer/index.ts";
import { test } from "../support/fixtures.ts";
import type { TemporaryFolder } from "../support/temporary.ts";
import { faultyStore } from "./support/faulty-store.ts";
import { givenRun, givenRuns } from "./support/given-runs.ts";

let folder: TemporaryFolder;
test.beforeAll(({ sharedFolder }) => {
  folder = sharedFolder;
});

let opened = 0;
const file = () => LibSQLStore.open(folder.database(`${opened++}.db`));
const settle = () => new Promise((resolve) => setTimeout(resolve, 20));
const lost = () =>
  new StoreConnectionError({ reason: "the answer was cut off", outcome: "unknown" });

/** A store whose writes, once begun, take until `release`, and release their callers when they are aborted. */
function slowStore(store: WorkflowStore) {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (name === "close") return () => target.close();
      if (name !== "saveState" || typeof member !== "function") return member;
      return async (...args: unknown[]) => {
        const { signal, ...options } = args[3] as { signal?: AbortSignal };
        const write = async (): Promise<unknown> => {
          await released;
          return Reflect.apply(member, target, [...args.slice(0, 3), options]) as unknown;
        };
        return untilAborted(signal, write());
      };
    },
  });
  return { slow, release };
}

/** A store whose operations release their callers when they are aborted, as those of a server do. */
function abortableStore(store: WorkflowStore) {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return async (...args: unknown[]) => {
        const { signal } = (args.at(-1) ?? {}) as { signal?: AbortSignal };
        return untilAborted(signal, Reflect.apply(member, target, args) as Promise<unknown>);
      };
    },
  });
}

/** A store that loses its answer to each new write of runs; `release` makes those writes take effect again. */
function losingStore(store: WorkflowStore) {
  const requests = new Map<string, () => Promise<unknown>>();
  const slow = new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (name === "close") return () => target.close();
      if (name !== "writeBundles") return member;
      return async (...args: Parameters<WorkflowStore["writeBundles"]>) => {
        const key = JSON.stringify(args);
        if (requests.has(key) || args[0][0]?.run.workflowId !== "w") {
          return target.writeBundles(...args);
        }
        requests.set(key, () => target.writeBundles(...args));
        throw new StoreConnectionError({ reason: "lost", outcome: "unknown", retryable: true });
      };
    },
  });
  const release = async () => {
    for (const write of requests.values()) await write();
  };
  return { slow, release };
}

describe("a mirror", () => {
  test("refuses invalid ids, and copies everything else", async () => {
    const [primary, secondary] = [new MemoryStore(), new MemoryStore()];
    const store = new MirroredStore(primary, secondary, { retryDelayMs: 1 });
    for (const bad of ["", "a\0b", "x".repeat(300), 7 as unknown as string]) {
      const calls = [
        store.updateRun(bad, { progress: 1 }),
        store.saveState(bad, "k", 1),
        store.deleteRun(bad),
        store.createRun({ runId: bad, workflowId: "w" }),
        store.batch((write) => write.deleteRun(bad)),
        store.releaseLease({ runId: bad, workerId: "w", attempt: 1 }),
      ];
      for (const outcome of await Promise.allSettled(calls)) {
        expect(outcome).toMatchObject({ reason: { code: "INVALID_ARGUMENT" } });
      }
    }
    await expect(
      store.pruneRuns({ olderThan: "yesterday" as unknown as Date }),
    ).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await givenRuns(store, 3);
    await store.drain();
    expect(store.divergence()).toMatchObject({ pendingChanges: 0, missedChanges: 0 });
    expect(await compareStores(primary, secondary)).toMatchObject({ equal: true, runs: 3 });
    await store.switchOver();
    expect(store.answering).toBe(secondary);
  });

  test("sets a run aside that a trigger of the secondary refuses, and copies all others", async () => {
    const [primary, secondary] = [new MemoryStore(), await file()];
    await secondary.db.run(
      "create trigger no before insert on workflow_runs when new.run_id = 'run-000003' begin select raise(abort, 'no'); end",
    );
    const store = new MirroredStore(primary, secondary, { retryDelayMs: 1 });
    await givenRuns(store, 10);
    await store.drain();
    expect(store.divergence()).toMatchObject({
      pendingChanges: 0,
      failedRuns: [{ runId: "run-000003" }],
    });
    expect((await secondary.stats()).rows.workflowRuns).toBe(9);
    await secondary.db.run("drop trigger no");
    expect(await store.resync()).toEqual({ differing: 1 });
    expect(store.divergence().failedRuns).toEqual([]);
    await store.close();
  });

  test("counts a pause that the secondary refuses as missed, and copies everything else", async () => {
    const [primary, secondary] = [new MemoryStore(), await file()];
    await secondary.db.run(
      "create trigger no before insert on workflow_pauses when new.workflow_id = 'a' begin select raise(abort, 'no'); end",
    );
    const store = new MirroredStore(primary, secondary, { retryDelayMs: 1 });
    await store.pauseWorkflow("a");
    await store.pauseWorkflow("b");
    await givenRuns(store, 3);
    await store.drain();
    const { pendingChanges, missedChanges } = store.divergence();
    expect([pendingChanges, missedChanges > 0]).toEqual([0, true]);
    expect(await secondary.listPausedWorkflows()).toMatchObject([{ workflowId: "b" }]);
    expect((await secondary.stats()).rows.workflowRuns).toBe(3);
    await secondary.db.run("drop trigger no");
    await store.resync();
    expect(store.divergence().missedChanges).toBe(0);
    expect(await secondary.listPausedWorkflows()).toEqual(await primary.listPausedWorkflows());
    await store.close();
  });

  test("sets a run aside whose deletion the secondary refuses", async () => {
    const [primary, secondary] = [new MemoryStore(), await file()];
    await secondary.db.run(
      "create table invoices(run_id text references workflow_runs(run_id) on delete restrict)",
    );
    const store = new MirroredStore(primary, secondary, { retryDelayMs: 1 });
    await givenRuns(store, 4);
    await store.drain();
    await secondary.db.run("insert into invoices values ('run-000001')");
    await store.deleteRun("run-000001");
    await store.saveState("run-000002", "later", 1);
    await store.deleteRun("run-000003");
    await store.drain();
    expect(store.divergence().failedRuns.map(({ runId }) => runId)).toEqual(["run-000001"]);
    expect(await secondary.loadState("run-000002", "later")).toBe(1);
    expect((await secondary.stats()).rows.workflowRuns).toBe(3);
    await store.close();
  });

  test("sets a run aside if a trigger of the secondary leaves out the deletion of its state", async () => {
    const [primary, secondary] = [new MemoryStore(), await file()];
    await primary.createRun({ runId: "a", workflowId: "w" });
    await primary.saveState("a", "k", 1);
    await copyStore(primary, secondary);
    await secondary.db.run(
      "create trigger no before delete on workflow_state begin select raise(ignore); end",
    );
    const store = new MirroredStore(primary, secondary, { retryDelayMs: 1 });
    await store.deleteState("a", "k");
    await store.drain();
    expect(store.divergence().failedRuns).toMatchObject([
      { runId: "a", error: { code: "CONSTRAINT" } },
    ]);
    await store.close();
  });

  test("sets a run aside for any error that only this run causes", async () => {
    const [primary, memory] = [new MemoryStore(), new MemoryStore()];
    const secondary = new Proxy(memory, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (name !== "writeBundles") return member;
        return async (...args: Parameters<WorkflowStore["writeBundles"]>) => {
          if (args[0].some(({ run }) => run.runId === "poison")) throw new TypeError("not so");
          return target.writeBundles(...args);
        };
      },
    });
    const store = new MirroredStore(primary, secondary, { retryDelayMs: 1 });
    await store.createRun({ runId: "poison", workflowId: "w" });
    await store.drain();
    expect(store.divergence()).toMatchObject({ failedRuns: [{ runId: "poison" }] });
    await givenRuns(store, 5);
    await store.drain();
    expect(await compareStores(primary, memory)).toMatchObject({ differing: 1, runs: 6 });
  });

  test("follows an aborted write when it has really ended, and a switch waits for that", async () => {
    const [memory, secondary] = [new MemoryStore(), new MemoryStore()];
    await memory.createRun({ runId: "a", workflowId: "w" });
    const { slow, release } = slowStore(memory);
    const store = new MirroredStore(slow, secondary, { retryDelayMs: 1 });
    const abort = new AbortController();
    const write = store.saveState("a", "k", 1, { signal: abort.signal });
    await settle();
    abort.abort(new Error("enough"));
    await expect(write).rejects.toThrow("enough");
    const switching = store.switchOver();
    await settle();
    expect(store.answering).toBe(slow);
    release();
    await switching;
    expect(store.answering).toBe(secondary);
    expect(await secondary.loadState("a", "k")).toBe(1);
  });

  test("copies a run that has lost its idempotency key, alone and in a batch", async () => {
    const [primary, secondary] = [await file(), new MemoryStore()];
    const mirror = new MirroredStore(primary, secondary);
    const run = { workflowId: "w", idempotencyKey: "k" };
    const takeFrom = (runId: string) => ({ takeKeyFrom: { runId, revision: 1 } });
    await mirror.createRun({ ...run, runId: "a" });
    await mirror.createRun({ ...run, runId: "b" }, takeFrom("a"));
    await mirror.batch((write) => write.createRun({ ...run, runId: "c" }, takeFrom("b")));
    await mirror.drain();
    expect(mirror.divergence().failedRuns).toEqual([]);
    const { runs } = await secondary.listRuns();
    expect(runs.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["k", null, null]);
    expect(await compareStores(primary, secondary)).toMatchObject({ equal: true });
    await mirror.close();
  });

  test("closes when the writes under way have ended", async () => {
    const [memory, secondary] = [new MemoryStore(), new MemoryStore()];
    await memory.createRun({ runId: "a", workflowId: "w" });
    const { slow, release } = slowStore(memory);
    const store = new MirroredStore(slow, secondary);
    const write = store.saveState("a", "k", 1, {});
    const closing = store.close();
    const late = store.countRuns();
    await settle();
    release();
    await Promise.all([write, closing]);
    await expect(late).rejects.toMatchObject({ code: "STORE_CLOSED" });
  });

  test("creates one run, when the store repeats a creation whose answer was cut off", async () => {
    const [primary, secondary] = [new MemoryStore(), new MemoryStore()];
    const given: (string | undefined)[] = [];
    const repeating = new Proxy(primary, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (name !== "createRun") return member;
        return async (run: Parameters<WorkflowStore["createRun"]>[0]) => {
          given.push(run.runId);
          return target.createRun(run);
        };
      },
    });
    const store = new MirroredStore(repeating, secondary);
    const { runId } = await store.createRun({ workflowId: "w" });
    expect(given).toEqual([undefined]);
    await store.drain();
    expect(await secondary.getRun(runId)).toMatchObject({ runId });
  });

  test("finds the run of a creation, and of a claim, whose answer was lost", async () => {
    const [memory, secondary] = [new MemoryStore(), new MemoryStore()];
    const primary = faultyStore(memory);
    const store = new MirroredStore(primary.store, secondary, { retryDelayMs: 1 });
    const lose = async () => {
      if (["createRun", "claimRuns"].includes(primary.calls.at(-1) ?? "")) throw lost();
    };
    primary.faultAfter = lose;
    await expect(store.createRun({ workflowId: "w" })).rejects.toMatchObject({
      outcome: "unknown",
    });
    await store.drain();
    expect(await compareStores(memory, secondary)).toMatchObject({ equal: true, runs: 1 });
    await store.claimRuns({ workerId: "x", leaseMs: 1000, limit: 1 }).catch(() => undefined);
    await store.drain();
    expect(await compareStores(memory, secondary)).toMatchObject({ equal: true, runs: 1 });
    // Either may take effect after this: nobody has heard of their end.
    expect(store.divergence().missedChanges).toBe(2);
    primary.faultAfter = null;
    await store.resync();
    expect(store.divergence().missedChanges).toBe(0);
  });

  test("deletes pruned runs from the secondary while others are created", async () => {
    const [primary, memory] = [new MemoryStore(), new MemoryStore()];
    const secondary = faultyStore(memory);
    const store = new MirroredStore(primary, secondary.store, { retryDelayMs: 1 });
    await givenRuns(store, 30);
    await store.drain();
    const olderThan = new Date(Date.UTC(2026, 0, 2));
    await store.pruneRuns({ olderThan, keepLast: 3 });
    for (let n = 0; n < 5; n++) {
      await store.createRun({ runId: `new-${n}`, workflowId: "orders", status: "COMPLETED" });
    }
    await store.drain();
    expect(await compareStores(primary, memory)).toMatchObject({ equal: true });
    expect(secondary.calls).not.toContain("pruneRuns");
  });

  test("remembers what was missed until a comparison has succeeded", async () => {
    const [primary, memory] = [new MemoryStore(), new MemoryStore()];
    const secondary = faultyStore(memory);
    const store = new MirroredStore(primary, secondary.store, {
      maxPendingRuns: 2,
      retryDelayMs: 1,
    });
    secondary.fault = async () => {
      throw new StoreConnectionError({ reason: "gone", retryable: true });
    };
    await givenRuns(store, 10);
    const { missedChanges } = store.divergence();
    expect(missedChanges).toBeGreaterThan(0);
    await expect(store.resync()).rejects.toMatchObject({ code: "STORE_CONNECTION" });
    await expect(store.switchOver()).rejects.toMatchObject({ code: "STORE_CONNECTION" });
    expect(store.divergence().missedChanges).toBe(missedChanges);
    secondary.fault = null;
    await store.resync();
    expect(store.divergence()).toMatchObject({ missedChanges: 0, failedRuns: [] });
  });

  test("copies all others before a resync rejects because of a run that cannot be read", async () => {
    const [primary, secondary] = [await file(), new MemoryStore()];
    await givenRuns(primary, 50);
    await primary.db.run("update workflow_runs set tags = '{' where run_id = 'run-000010'");
    const store = new MirroredStore(primary, secondary);
    await expect(store.resync()).rejects.toMatchObject({ code: "UNREADABLE_RUNS" });
    expect((await secondary.stats()).rows.workflowRuns).toBe(49);
    await store.close();
  });

  test.each(["tags", "input"])(
    "deletes a run with unreadable %s that only the secondary has",
    async (column) => {
      const [primary, secondary] = [new MemoryStore(), await file()];
      for (const each of [primary, secondary]) await givenRuns(each, 3);
      await secondary.createRun({ runId: "other", workflowId: "w" });
      await secondary.db.run(
        `update workflow_runs set ${column} = '{' where run_id in ('other', 'run-000001')`,
      );
      const store = new MirroredStore(primary, secondary);
      await store.switchOver();
      expect(await compareStores(primary, secondary)).toMatchObject({ equal: true, runs: 3 });
      expect((await secondary.stats()).rows.workflowRuns).toBe(3);
      await store.close();
    },
  );

  test("refuses calls inside `recordSwitch`, and stops waiting for it when the signal aborts", async () => {
    const [primary, secondary] = [new MemoryStore(), new MemoryStore()];
    const store = new MirroredStore(primary, secondary);
    await expect(
      store.switchOver({
        recordSwitch: async () => {
          await store.createRun({ workflowId: "w" });
        },
      }),
    ).rejects.toMatchObject({ code: "UNSUPPORTED" });
    const abort = new AbortController();
    const switching = store.switchOver({
      signal: abort.signal,
      recordSwitch: async ({ signal }) => {
        setTimeout(() => abort.abort(new Error("enough")), 5);
        await new Promise(() => undefined);
        signal?.throwIfAborted();
      },
    });
    await expect(switching).rejects.toThrow("enough");
    expect(store.answering).toBe(primary);
    expect(await store.createRun({ workflowId: "w" })).toMatchObject({ workflowId: "w" });
    await expect(store.transaction(() => store.switchOver())).rejects.toMatchObject({
      code: "UNSUPPORTED",
    });
  });

  test("that is closed while `recordSwitch` runs copies nothing later", async () => {
    const secondary = await file();
    const store = new MirroredStore(new MemoryStore(), secondary, { retryDelayMs: 1 });
    let closing: Promise<void> | undefined;
    const outside = new AsyncLocalStorage<null>();
    const close = outside.run(null, () => AsyncLocalStorage.bind(() => store.close()));
    await store.switchOver({
      recordSwitch: async () => {
        closing = close();
        await settle();
      },
    });
    await closing;
    await expect(store.deleteRun("r")).rejects.toMatchObject({ code: "STORE_CLOSED" });
    await expect(store.drain()).rejects.toMatchObject({ code: "STORE_CLOSED" });
    const reads = vi.spyOn(secondary, "listRuns");
    await settle();
    expect(reads).not.toHaveBeenCalled();
  });

  test("whose stores are one database copies nothing, and loses no write", async () => {
    const url = folder.database("same.db");
    const [a, b] = [await LibSQLStore.open(url), await LibSQLStore.open(url)];
    expect(() => new MirroredStore(a, a)).toThrow(/secondary: is the same database/);
    const store = new MirroredStore(a, b, { retryDelayMs: 1 });
    await givenRun(store, 1);
    for (let n = 0; n < 100; n++) await store.saveState("run-000001", `key-${n}`, n);
    await expect(store.drain()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(store.switchOver()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(copyStore(a, b, { resume: true })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      argument: "to",
    });
    expect(Object.keys(await a.getAllState("run-000001"))).toHaveLength(101);
    expect((await a.stats()).rows.workflowRuns).toBe(1);
    await store.close();
  });

  test("never overwrites a run that the secondary has in a newer revision, and names it", async () => {
    const [primary, secondary] = [new MemoryStore(), new MemoryStore()];
    const run = { runId: "a", workflowId: "w", createdAt: new Date(0) };
    await primary.createRun(run);
    await secondary.createRun(run);
    await secondary.updateRun("a", { progress: 0.5 });
    const { store: observed, calls } = faultyStore(secondary);
    const store = new MirroredStore(primary, observed, { retryDelayMs: 1 });
    await store.saveState("a", "k", 1);
    await givenRuns(store, 3);
    await store.drain();
    // Outside a comparison it is only read, so it needs no write lock.
    expect(calls).not.toContain("transaction");
    expect(store.divergence().failedRuns).toMatchObject([
      { runId: "a", error: { code: "REVISION_CONFLICT", actualRevision: 2 } },
    ]);
    await expect(store.switchOver()).rejects.toMatchObject({ code: "SWITCH_OVER" });
    expect(await secondary.getRun("a")).toMatchObject({ progress: 0.5 });
    await store.updateRun("a", { progress: 0.2 });
    await store.updateRun("a", { progress: 0.3 });
    await store.drain();
    expect(store.divergence().failedRuns).toEqual([]);
    expect(await compareStores(primary, secondary)).toMatchObject({ equal: true });
  });

  test("keeps state that was written after a switch from the last write of a killed process", async () => {
    const [first, second] = [new MemoryStore(), await file()];
    await first.createRun({ runId: "a", workflowId: "w" });
    const slow = faultyStore(second);
    let release: () => void = () => undefined;
    const sending = new Promise<void>((sent) => {
      slow.fault = async () => {
        if (slow.calls.at(-1) !== "writeBundles") return;
        sent();
        await new Promise<void>((resolve) => {
          release = resolve;
        });
      };
    });
    const killed = new MirroredStore(first, slow.store);
    await killed.saveState("a", "k", "old");
    await sending;
    const store = new MirroredStore(first, second);
    await store.switchOver();
    await store.saveState("a", "k", "new");
    await store.saveStepOutput("a", "s", "new");
    slow.fault = null;
    release();
    await killed.drain();
    expect(await second.loadState("a", "k")).toBe("new");
    expect(await second.loadStepOutput("a", "s")).toBe("new");
    await store.close();
  });

  test.each([
    ["memory", async () => new MemoryStore()],
    ["a file", file],
  ])("keeps what was written after a switch from a late comparison, on %s", async (_, open) => {
    const [first, second] = [new MemoryStore(), await open()];
    await first.createRun({ runId: "a", workflowId: "w" });
    await copyStore(first, second);
    await second.saveState("a", "k", "stray");
    const { slow, release } = losingStore(second);
    const store = new MirroredStore(first, slow, { retryDelayMs: 1 });
    let failures = 0;
    while (store.answering === first) {
      await store.switchOver().catch((error: unknown) => {
        expect(error).toMatchObject({ outcome: "unknown" });
        failures++;
      });
    }
    expect(failures).toBeGreaterThan(0);
    expect(await second.getAllState("a")).toEqual({});
    await store.saveState("a", "k", "new");
    await release();
    expect(await second.getAllState("a")).toEqual({ k: "new" });
    await store.close();
  });

  test("counts a copy whose answer was lost as missed: it can restore a deleted run", async () => {
    const [primary, secondary] = [new MemoryStore(), new MemoryStore()];
    const { slow, release } = losingStore(secondary);
    const store = new MirroredStore(primary, slow, { retryDelayMs: 1 });
    await store.drain();
    await store.createRun({ runId: "a", workflowId: "w" });
    await store.drain().catch(() => undefined);
    await store.deleteRun("a");
    await store.drain();
    await release();
    expect(await compareStores(primary, secondary)).toMatchObject({ differing: 1 });
    expect(store.divergence()).toMatchObject({ pendingChanges: 0, missedChanges: 1 });
    await store.resync();
    expect(store.divergence()).toMatchObject({ pendingChanges: 0, missedChanges: 0 });
    expect(await compareStores(primary, secondary)).toMatchObject({ equal: true });
  });

  test("copies runs again, a minute after the last answer that was lost", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const [primary, secondary] = [new MemoryStore(), new MemoryStore()];
    const { slow } = losingStore(secondary);
    const store = new MirroredStore(primary, slow, { retryDelayMs: 1 });
    await store.createRun({ runId: "deleted", workflowId: "w" });
    await store.createRun({ runId: "saved", workflowId: "w" });
    await store.saveStepOutput("saved", "s", 1);
    const { bundles } = await primary.readBundles();
    await store.drain().catch(() => undefined);
    await store.deleteRun("deleted");
    await store.saveStepOutput("saved", "s", 2);
    while (store.divergence().pendingChanges > 0) await store.drain().catch(() => undefined);
    // The first copy takes effect last.
    await secondary.writeBundles(bundles, { onConflict: "replace", keepNewer: true });
    expect(await compareStores(primary, secondary)).toMatchObject({ differing: 2 });
    vi.advanceTimersByTime(60_000);
    await store.drain();
    expect(await compareStores(primary, secondary)).toMatchObject({ equal: true, runs: 1 });
    expect(store.divergence().missedChanges).toBeGreaterThan(0);
    await store.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("copies pauses again, a minute after the answer to a copy was lost", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const [primary, memory] = [new MemoryStore(), new MemoryStore()];
    const secondary = faultyStore(memory);
    secondary.fault = async () => {
      if (secondary.calls.at(-1) === "pauseWorkflow") throw lost();
    };
    const store = new MirroredStore(primary, secondary.store, { retryDelayMs: 1 });
    await store.pauseWorkflow("w");
    await expect(store.drain()).rejects.toMatchObject({ outcome: "unknown" });
    await store.resumeWorkflow("w");
    await store.drain();
    expect(store.divergence()).toMatchObject({ pendingChanges: 0, missedChanges: 1 });
    // The lost request takes effect last.
    await memory.pauseWorkflow("w");
    vi.advanceTimersByTime(60_000);
    await store.drain();
    expect(await memory.listPausedWorkflows()).toEqual([]);
    await store.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("counts an aborted write as missed whose answer is then lost: it may still take effect", async () => {
    const [memory, secondary] = [new MemoryStore(), new MemoryStore()];
    await memory.createRun({ runId: "a", workflowId: "w" });
    const primary = faultyStore(memory);
    const store = new MirroredStore(abortableStore(primary.store), secondary, { retryDelayMs: 1 });
    await store.drain();
    primary.fault = async () => {
      if (primary.calls.at(-1) !== "saveState") return;
      await settle();
      throw lost();
    };
    const abort = new AbortController();
    const write = store.saveState("a", "k", 1, { signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(write).rejects.toThrow("enough");
    await settle();
    await settle();
    expect(store.divergence().missedChanges).toBe(1);
  });

  test("copies a write of unknown outcome that takes effect while a switch-over makes calls wait", async () => {
    const [memory, secondary] = [new MemoryStore(), new MemoryStore()];
    for (const runId of ["a", "b"]) await memory.createRun({ runId, workflowId: "w" });
    const primary = faultyStore(memory);
    const store = new MirroredStore(primary.store, secondary, { retryDelayMs: 1 });
    primary.fault = async () => {
      throw lost();
    };
    await expect(store.saveState("a", "k", 1)).rejects.toMatchObject({ outcome: "unknown" });
    let release: () => void = () => undefined;
    primary.fault = async () => {
      if (primary.calls.at(-1) !== "getRun") return;
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    };
    // The switch-over has compared the stores when it waits for this call.
    const reading = store.getRun("b");
    const switching = store.switchOver({ maxPauseMs: 60_000 });
    await settle();
    await settle();
    await memory.saveState("a", "k", 1);
    release();
    await Promise.all([reading, switching]);
    expect(await secondary.loadState("a", "k")).toBe(1);
    // It might also have come after the switch.
    expect(store.divergence().missedChanges).toBe(1);
    await memory.saveState("b", "k", 1);
    await store.resync();
    expect(store.divergence().missedChanges).toBe(0);
    expect(await compareStores(memory, secondary)).toMatchObject({ equal: true });
  });

  test("copies outside the asynchronous flow of the write", async () => {
    const [primary, memory] = [new MemoryStore(), new MemoryStore()];
    const tenant = new AsyncLocalStorage<string>();
    const secondary = faultyStore(memory);
    const tenants = new Set<string | undefined>();
    secondary.fault = async () => void tenants.add(tenant.getStore());
    const store = new MirroredStore(primary, secondary.store, { retryDelayMs: 1 });
    await tenant.run("first", () => store.createRun({ runId: "a", workflowId: "w" }));
    await store.drain();
    await memory.transaction(async () => {
      await store.createRun({ runId: "b", workflowId: "w" });
      await settle();
    });
    await store.drain();
    expect(tenants).toEqual(new Set([undefined]));
    expect(store.divergence()).toMatchObject({ failedRuns: [], lastError: null });
    expect(await compareStores(primary, memory)).toMatchObject({ equal: true, runs: 2 });
  });

  test("replaces a run that was deleted and created again under its id", async () => {
    const [primary, memory] = [new MemoryStore(), new MemoryStore()];
    const run = { runId: "a", workflowId: "w", createdAt: new Date(0) };
    await memory.createRun(run);
    for (let n = 1; n < 5; n++) await memory.updateRun("a", { progress: n / 10 });
    const store = new MirroredStore(primary, memory);
    await store.createRun({ ...run, createdAt: new Date(5) });
    await store.drain();
    expect(await compareStores(primary, memory)).toMatchObject({ equal: true });
  });

  test("refuses durations beyond those of timers", async () => {
    const [a, b] = [new MemoryStore(), new MemoryStore()];
    expect(() => new MirroredStore(a, b, { retryDelayMs: 2 ** 31 })).toThrow(/retryDelayMs/);
    const store = new MirroredStore(a, b);
    await expect(store.switchOver({ maxPauseMs: 2 ** 31 })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      argument: "options.maxPauseMs",
    });
  });
});
