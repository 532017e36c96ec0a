import { AsyncLocalStorage } from "node:async_hooks";
import { createClient } from "../../src/client/create-client.ts";
import { stat } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, vi } from "vitest";
import { untilAborted } from "../../src/async/abort.ts";
import type { PrunePolicy } from "../../src/model/retention.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import {
  applyRetention,
  scheduleRetention,
  type RetentionPolicy,
  type RetentionReport,
} from "../../src/retention/index.ts";
import { bulkBeginning, makeBulkRuns } from "../support/bulk-runs.ts";
import { endlessProgress } from "../support/endless-progress.ts";
import { test } from "../support/fixtures.ts";
import type { Sqld } from "../support/sqld.ts";
import type { TemporaryFolder } from "../support/temporary.ts";

const day = 24 * 60 * 60 * 1000;
const now = new Date(Date.UTC(2026, 5, 1));

let folder: TemporaryFolder;
let server: Sqld;
test.beforeAll(({ sharedFolder, server: own }) => {
  folder = sharedFolder;
  server = own;
});

/** Twenty finished runs, one a day; every fourth FAILED, and one that has been RUNNING for a year. */
async function givenHistory(store: WorkflowStore): Promise<void> {
  for (let age = 0; age < 20; age++) {
    const at = new Date(now.getTime() - age * day);
    await store.createRun({
      runId: `age-${age}`,
      workflowId: age % 2 === 0 ? "orders" : "refunds",
      status: age % 4 === 0 ? "FAILED" : "COMPLETED",
      createdAt: at,
      completedAt: at,
      updatedAt: at,
    });
  }
  const longAgo = new Date(now.getTime() - 365 * day);
  await store.createRun({
    runId: "running",
    workflowId: "orders",
    status: "RUNNING",
    createdAt: longAgo,
    updatedAt: longAgo,
  });
}

const policy: RetentionPolicy = {
  rules: [
    { statuses: ["COMPLETED"], maxAgeMs: 7 * day, keepLast: 2 },
    { statuses: ["FAILED"], maxAgeMs: 14 * day },
  ],
};

describe("a policy", () => {
  test("keeps what its rules keep, and never deletes a running run that it does not name", async () => {
    const store = new MemoryStore();
    await givenHistory(store);
    const planned = await applyRetention(store, policy, { now, dryRun: true });
    expect((await store.stats()).rows.workflowRuns).toBe(21);
    const seen: number[] = [];
    const report = await applyRetention(store, policy, {
      now,
      onProgress: ({ deletedRuns }) => seen.push(deletedRuns),
    });
    expect(report).toMatchObject({ deletedRuns: 10, remainingRuns: 11, freedBytes: null });
    expect(planned.deletedRuns).toBe(10);
    expect(report.rules.map(({ deletedRuns }) => deletedRuns)).toEqual([9, 1]);
    expect(seen).toEqual([9, 10]);
    expect(await store.countRuns()).toMatchObject({ RUNNING: 1, COMPLETED: 6, FAILED: 4 });
    expect(await applyRetention(store, policy, { now })).toMatchObject({ deletedRuns: 0 });
  });

  test("is refused if one rule is invalid", async () => {
    const store = new MemoryStore();
    await givenHistory(store);
    const bad: [unknown, string][] = [
      [{ rules: [] }, "policy.rules"],
      [{ rules: [{ maxAgeMs: 0 }, { maxAgeMs: -1 }] }, "policy.rules[1].maxAgeMs"],
      [{ rules: [{ maxAgeMs: 0, keeplast: 1 }] }, "policy.rules[0].keeplast"],
      [{ rules: [{ maxAgeMs: 0 }], batchSize: 0 }, "policy.batchSize"],
    ];
    for (const [broken, argument] of bad) {
      await expect(applyRetention(store, broken as RetentionPolicy, { now })).rejects.toMatchObject(
        { code: "INVALID_ARGUMENT", argument },
      );
    }
    await expect(applyRetention({} as MemoryStore, policy)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      argument: "store",
    });
    expect((await store.stats()).rows.workflowRuns).toBe(21);
  });

  test("ends with the error of an asynchronous `onProgress`, as bulk changes do", async () => {
    const onProgress = async () => Promise.reject(new Error("no more"));
    const file = await LibSQLStore.open(folder.database());
    for (const store of [new MemoryStore(), file]) {
      await givenHistory(store);
      await expect(applyRetention(store, policy, { now, onProgress })).rejects.toThrow("no more");
      await expect(store.cancelRuns({}, { onProgress })).rejects.toThrow("no more");
    }
    await file.close();
  });

  test("ends at an abort while `onProgress` never ends, as bulk changes do", async () => {
    const file = await LibSQLStore.open(folder.database("endless"));
    for (const store of [new MemoryStore(), file]) {
      await givenHistory(store);
      const options = { now, ...endlessProgress() };
      await expect(applyRetention(store, policy, options)).rejects.toThrow("enough");
      await expect(store.cancelRuns({}, endlessProgress())).rejects.toThrow("enough");
    }
    await file.close();
  });
});

describe("a schedule", () => {
  // Not a whole day: no run is just as old as a rule allows.
  const interval = 25 * 60 * 60 * 1000;

  test("applies the policy repeatedly, after failures too, until it is stopped", async () => {
    vi.useFakeTimers({ now });
    try {
      const store = new MemoryStore();
      await givenHistory(store);
      const reports: RetentionReport[] = [];
      const errors: unknown[] = [];
      let failing = true;
      const schedule = scheduleRetention(
        {
          stats: () => store.stats(),
          pruneRuns: (each) =>
            failing ? Promise.reject(new Error("gone")) : store.pruneRuns(each),
        },
        policy,
        {
          everyMs: interval,
          onReport: (report) => reports.push(report),
          onError: (error) => errors.push(error),
        },
      );
      await vi.advanceTimersByTimeAsync(interval - 1);
      expect(errors).toEqual([]);
      await vi.advanceTimersByTimeAsync(1000);
      expect(errors).toEqual([new Error("gone")]);
      failing = false;
      for (const count of [1, 2]) {
        await vi.advanceTimersByTimeAsync(interval);
        // The turns between batches are not those of the fake timers.
        while (reports.length < count) await setImmediate();
      }
      expect(reports.map(({ deletedRuns }) => deletedRuns)).toEqual([14, 0]);
      const stopped = schedule.stop();
      await vi.advanceTimersByTimeAsync(1000);
      await stopped;
      await vi.advanceTimersByTimeAsync(10 * day);
      expect(reports).toHaveLength(2);
    } finally {
      vi.useRealTimers();
    }
  });

  test("refuses invalid options", () => {
    const schedule = (everyMs: number) =>
      scheduleRetention(new MemoryStore(), policy, { everyMs, onError: () => undefined });
    expect(() => schedule(0)).toThrow(/options.everyMs/);
    expect(() => schedule(2 ** 31)).toThrow(/options.everyMs/);
  });
});

test("a schedule that is stopped during a deletion waits until the deletion has ended", async () => {
  let finish: () => void = () => undefined;
  vi.useFakeTimers({ now });
  const store = {
    stats: () => new MemoryStore().stats(),
    pruneRuns: ({ signal }: PrunePolicy) =>
      untilAborted(
        signal,
        new Promise<never>((_, reject) => {
          finish = () => reject(new Error("ended"));
        }),
      ),
  };
  const schedule = scheduleRetention(
    store,
    { rules: [{ maxAgeMs: 1 }] },
    { everyMs: 1, onError: () => undefined },
  );
  await vi.advanceTimersByTimeAsync(1);
  vi.useRealTimers();
  let stopped = false;
  const stopping = schedule.stop().then(() => (stopped = true));
  await new Promise((turn) => setTimeout(turn, 10));
  expect(stopped).toBe(false);
  finish();
  await stopping;
});

test("a schedule runs outside of the asynchronous context in which it begins", async () => {
  const store = new MemoryStore();
  const request = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const schedule = await store.transaction(async () => {
    const begun = request.run("request", () =>
      scheduleRetention(store, policy, {
        everyMs: 1,
        onReport: () => seen.push(request.getStore()),
        onError: (error) => seen.push(error),
      }),
    );
    await new Promise((turn) => setTimeout(turn, 20));
    return begun;
  });
  await expect.poll(() => seen.length).toBeGreaterThan(1);
  await schedule.stop();
  expect(new Set(seen)).toEqual(new Set([undefined]));
});

test("a callback may stop the schedule, and one that never ends does not block it", async () => {
  vi.useFakeTimers({ now });
  try {
    let reports = 0;
    let stopped = false;
    const schedule = scheduleRetention(
      new MemoryStore(),
      { rules: [{ maxAgeMs: 1 }] },
      {
        everyMs: 1000,
        async onReport() {
          reports++;
          if (reports === 1) await new Promise(() => undefined);
          await schedule.stop();
          stopped = true;
        },
        onError: () => undefined,
      },
    );
    await vi.advanceTimersByTimeAsync(5000);
    expect([reports, stopped]).toEqual([2, true]);
  } finally {
    vi.useRealTimers();
  }
});

describe("a prune", () => {
  const cutoff = new Date(bulkBeginning + 1800 * 1000);

  test("frees the space of a file immediately", async () => {
    const url = folder.database("bulk.db");
    await makeBulkRuns(url, 2000);
    const store = await LibSQLStore.open(url);
    const size = async () => (await stat(fileURLToPath(url))).size;
    const before = { size: await size(), bytes: (await store.stats()).bytes };
    const report = await store.pruneRuns({ olderThan: cutoff });
    const after = await store.stats();
    expect(report.freedBytes).toBeGreaterThan(before.size / 2);
    expect(after).toMatchObject({ freeBytes: 0 });
    expect(before.size - (await size())).toBe(report.freedBytes);
    expect((await stat(`${fileURLToPath(url)}-wal`)).size).toBe(0);
    await store.close();
  });

  test("continues an aborted one, and frees the space that it left", async () => {
    const url = folder.database("aborted.db");
    await makeBulkRuns(url, 2000);
    const store = await LibSQLStore.open(url);
    const abort = new AbortController();
    const first = store.pruneRuns({
      olderThan: cutoff,
      signal: abort.signal,
      onProgress: ({ deletedRuns }) => {
        if (deletedRuns >= 1000) abort.abort(new Error("enough"));
      },
    });
    await expect(first).rejects.toThrow("enough");
    const left = await store.stats();
    expect(left.rows.workflowRuns).toBeLessThanOrEqual(1000);
    expect(left.freeBytes).toBeGreaterThan(0);
    const second = await store.pruneRuns({ olderThan: cutoff });
    expect(second.deletedRuns + 2000 - left.rows.workflowRuns).toBe(1782);
    expect(await store.stats()).toMatchObject({ freeBytes: 0 });
    await store.close();
  });

  test("removes orphans of runs that were deleted with foreign keys off", async () => {
    const url = folder.database("orphans.db");
    await makeBulkRuns(url, 50);
    const client = createClient(url);
    await client.migrate(["delete from workflow_runs where run_id <= 'run-000000009'"]);
    client.close();
    const store = await LibSQLStore.open(url);
    const policyOfNothing = { olderThan: new Date(0) };
    // Four steps, four outputs and a value of state each.
    expect(await store.pruneRuns({ ...policyOfNothing, dryRun: true })).toMatchObject({
      deletedRuns: 0,
      deletedOrphans: 90,
    });
    expect(await store.pruneRuns(policyOfNothing)).toMatchObject({ deletedOrphans: 90 });
    expect((await store.stats()).rows).toMatchObject({ stepExecutions: 160, workflowState: 40 });
    await store.close();
  });

  test("deletes the same on a server, and leaves the space to it", async () => {
    const store = await LibSQLStore.open(server.httpUrl);
    await givenHistory(store);
    expect(await applyRetention(store, policy, { now })).toMatchObject({
      deletedRuns: 10,
      remainingRuns: 11,
    });
    await store.close();
  });
});
