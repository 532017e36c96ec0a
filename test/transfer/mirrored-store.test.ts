import { setImmediate } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { describe, expect } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { Engine } from "../../src/engine/engine.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import type { AppTransaction } from "../../src/drizzle-types.ts";
import { StoreConnectionError } from "../../src/errors.ts";
import type { PrunePolicy } from "../../src/model/retention.ts";
import { openStore } from "../../src/open-store.ts";
import { hasHostTransactions } from "../../src/store/transactions.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { describeWorkflowStore } from "../../src/testing/describe-workflow-store.ts";
import {
  compareStores,
  copyStore,
  MirroredStore,
  type MirrorOptions,
} from "../../src/transfer/index.ts";
import { test } from "../support/fixtures.ts";
import type { TemporaryFolder } from "../support/temporary.ts";
import { faultyStore } from "./support/faulty-store.ts";
import { givenRun, givenRuns, passKey } from "./support/given-runs.ts";

describeWorkflowStore({
  name: "MirroredStore",
  open: async ({ clock }) =>
    new MirroredStore(new MemoryStore({ clock }), new MemoryStore({ clock })),
});

let folder: TemporaryFolder;
test.beforeAll(({ sharedFolder }) => {
  folder = sharedFolder;
});

function mirror(options: MirrorOptions = {}) {
  const [primary, memory] = [new MemoryStore(), new MemoryStore()];
  const secondary = faultyStore(memory);
  const store = new MirroredStore(primary, secondary.store, { retryDelayMs: 1, ...options });
  return { store, primary, secondary, memory };
}

const gone = async (): Promise<void> => {
  throw new StoreConnectionError({ reason: "the server is gone", retryable: true });
};

async function areEqual(a: MemoryStore, b: MemoryStore): Promise<boolean> {
  return (await compareStores(a, b)).equal;
}

/** Numbers from 0 to below a limit, the same for a seed. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed + 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

/** One write of several kinds, to one of a few runs. */
async function writeSomething(
  store: MirroredStore,
  random: (below: number) => number,
): Promise<void> {
  const n = random(12);
  const runId = `run-${String(n).padStart(6, "0")}`;
  const write = [
    () => givenRun(store, n),
    () => store.deleteRun(runId),
    () => store.saveState(runId, `key-${random(3)}`, random(1000)),
    () => store.updateRun(runId, { progress: random(10) / 10 }),
    () => store.reopenRun(runId),
    () => store.saveStepOutput(runId, "step-0", random(1000)),
  ][random(6)];
  // What is not there, or has ended, is refused.
  await write?.().catch(() => undefined);
}

async function allBundles(store: MemoryStore): Promise<readonly unknown[]> {
  return (await store.readBundles({ limit: 1000 })).bundles;
}

/** A write of every kind that the contract has. */
async function writeEverything(store: MirroredStore): Promise<void> {
  await givenRuns(store, 20);
  const { runId } = await store.createRun({ workflowId: "w", idempotencyKey: "once" });
  await store.createRun({ workflowId: "w", idempotencyKey: "once" });
  await store.updateRun(runId, { progress: 0.5 });
  await store.createStepExecution({ runId, stepId: "a" });
  await store.updateStepExecution(runId, "a", { status: "RUNNING" });
  const ended = await store.createRun({ runId: "ended", workflowId: "w", status: "COMPLETED" });
  for (const stepId of ["a", "b"]) {
    await store.createStepExecution({ runId: ended.runId, stepId, status: "COMPLETED" });
    await store.saveStepOutput(ended.runId, stepId, 1);
  }
  await store.reopenRun(ended.runId, { fromStep: "b" });
  await store.saveStepAttempt({ runId, stepId: "a", attempt: 1, status: "FAILED" });
  await store.saveStepOutput(runId, "a", [1]);
  await store.saveState(runId, "k", 1);
  await store.saveState(runId, "gone", 1);
  await store.deleteState(runId, "gone");
  await store.deleteRun("run-000000");
  await store.reopenRun("run-000001");
  const [claimed, released] = await store.claimRuns({ workerId: "x", leaseMs: 60_000, limit: 2 });
  const lease = { runId: claimed?.runId ?? "", workerId: "x" };
  await store.extendLease({ ...lease, leaseMs: 120_000 });
  await store.releaseLease({ runId: released?.runId ?? "", workerId: "x" });
  await store.batch((write) => {
    write.createRun({ workflowId: "without an id" });
    write.createRun({ runId: "batched", workflowId: "w" });
    write.saveState("batched", "k", 2);
    write.deleteRun("run-000003");
  });
  await store.transaction(async (tx) => {
    await tx.createRun({ workflowId: "w", runId: "committed" });
    await tx.transaction((nested) => nested.saveState("committed", "k", 1));
  });
  await store
    .transaction(async (tx) => {
      await tx.createRun({ workflowId: "w", runId: "undone" });
      throw new Error("undone");
    })
    .catch(() => undefined);
  const { bundles } = await store.readBundles({ runIds: ["batched"] });
  await store.deleteRun("batched");
  await store.writeBundles(bundles, { onConflict: "fail" });
}

test("every write of the primary is copied to the secondary", async () => {
  const { store, primary, memory } = mirror();
  await writeEverything(store);
  await store.drain();
  expect(store.divergence()).toEqual({
    pendingChanges: 0,
    failedRuns: [],
    missedChanges: 0,
    lastError: null,
  });
  expect(await compareStores(primary, memory)).toMatchObject({ equal: true, runs: 23 });
});

test("a prune reaches the secondary, and a dry run does not", async () => {
  const { store, primary, memory } = mirror();
  await givenRuns(store, 30);
  const policy: PrunePolicy = { olderThan: new Date(), keepLast: 3, onProgress: () => undefined };
  await store.pruneRuns({ ...policy, dryRun: true });
  await store.drain();
  expect(await areEqual(primary, memory)).toBe(true);
  const { remainingRuns } = await store.pruneRuns(policy);
  await store.drain();
  expect(remainingRuns).toBeLessThan(30);
  expect(await compareStores(primary, memory)).toMatchObject({ equal: true, runs: remainingRuns });
});

test("pauses reach the secondary, outside and inside a transaction, and stay after a switch-over", async () => {
  const { store, primary, secondary, memory } = mirror();
  await primary.pauseWorkflow("before the mirror", { reason: "r" });
  await memory.pauseWorkflow("of the secondary alone");
  await store.pauseWorkflow("w");
  await store.pauseWorkflow("resumed");
  await store.transaction((tx) => tx.pauseWorkflow("x"));
  await store.resumeWorkflow("resumed");
  const names = async () => (await memory.listPausedWorkflows()).map((pause) => pause.workflowId);
  await store.drain();
  expect(await names()).toEqual(["before the mirror", "w", "x"]);
  expect(await memory.listPausedWorkflows()).toEqual(await primary.listPausedWorkflows());

  await memory.pauseWorkflow("of the secondary alone");
  await memory.resumeWorkflow("w");
  await store.resync();
  expect(await memory.listPausedWorkflows()).toEqual(await primary.listPausedWorkflows());

  await memory.resumeWorkflow("w");
  await store.switchOver();
  expect(store.answering).toBe(secondary.store);
  expect(await store.listPausedWorkflows()).toEqual(await primary.listPausedWorkflows());
  expect(await names()).toHaveLength(3);
});

test("a pause whose answer is lost reaches the secondary", async () => {
  const faulty = faultyStore(new MemoryStore());
  const memory = new MemoryStore();
  const store = new MirroredStore(faulty.store, memory, { retryDelayMs: 1 });
  faulty.faultAfter = gone;
  await expect(store.pauseWorkflow("w")).rejects.toThrow("gone");
  faulty.faultAfter = null;
  await store.drain();
  expect(await memory.listPausedWorkflows()).toHaveLength(1);
});

test("bulk changes reach the secondary, outside and inside a transaction", async () => {
  const { store, primary, memory } = mirror();
  for (let index = 0; index < 12; index++) {
    await store.createRun({ workflowId: `w${index % 3}` });
  }
  await store.cancelRuns({ workflowId: "w0" });
  await store.transaction((tx) => tx.cancelRuns({ workflowId: "w1" }));
  await store.reopenRuns({ workflowId: "w0" }, { batchSize: 1 });
  await store.deleteRuns({ workflowId: "w1" });
  await store.drain();
  expect(await compareStores(primary, memory)).toMatchObject({ equal: true, runs: 8 });
  expect(await memory.countRuns()).toMatchObject({ PENDING: 8, CANCELLED: 0 });
  expect(store.divergence().missedChanges).toBe(0);
});

test("a bulk change continues on the new primary after a switch-over", async () => {
  const { store, primary, memory } = mirror();
  for (let index = 0; index < 6; index++) await store.createRun({ workflowId: "w" });
  const switches: Promise<unknown>[] = [];
  const onProgress = () => {
    if (switches.length === 0) switches.push(store.switchOver());
  };
  await store.cancelRuns({}, { batchSize: 1, onProgress });
  await Promise.all(switches);
  await store.drain();
  expect(store.answering).not.toBe(primary);
  for (const each of [primary, memory]) {
    expect(await each.countRuns()).toMatchObject({ PENDING: 0, CANCELLED: 6 });
  }
});

describe("a secondary that", () => {
  test("is unavailable fails no call, and has all runs when it is back", async () => {
    const reports: number[] = [];
    const { store, primary, secondary, memory } = mirror({
      onDivergence: ({ pendingChanges }) => reports.push(pendingChanges),
    });
    secondary.fault = gone;
    await writeEverything(store);
    await expect(store.drain()).rejects.toMatchObject({ code: "STORE_CONNECTION" });
    expect(store.divergence()).toMatchObject({
      missedChanges: 0,
      lastError: { code: "STORE_CONNECTION" },
    });
    expect(store.divergence().pendingChanges).toBeGreaterThan(20);
    expect((await memory.stats()).rows.workflowRuns).toBe(0);
    // Once for the fault, however often it is tried.
    expect(reports).toHaveLength(1);
    secondary.fault = null;
    await store.drain();
    expect(store.divergence()).toMatchObject({ pendingChanges: 0, lastError: null });
    expect(await areEqual(primary, memory)).toBe(true);
  });

  test("never answers delays no call, and gets no further calls", async () => {
    const { store, secondary } = mirror();
    let answer: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      secondary.fault = () => {
        resolve();
        return new Promise((answered) => {
          answer = answered;
        });
      };
    });
    await writeEverything(store);
    await asked;
    await store.saveState("run-000002", "k", 1);
    expect(await store.countRuns()).toMatchObject({ RUNNING: 4 });
    expect(secondary.calls).toHaveLength(1);
    secondary.fault = null;
    answer();
    await store.drain();
  });

  test("refuses a run gets all others, and the report names the refused run", async () => {
    const { store, memory } = mirror();
    await memory.createRun({ runId: "foreign", workflowId: "refunds", idempotencyKey: "key-1" });
    await givenRuns(store, 5);
    await store.drain();
    expect(store.divergence().failedRuns).toEqual([
      { runId: "run-000001", error: expect.objectContaining({ code: "RUN_ALREADY_EXISTS" }) },
    ]);
    expect((await memory.stats()).rows.workflowRuns).toBe(5);
    await memory.deleteRun("foreign");
    await store.saveState("run-000001", "again", 1);
    await store.drain();
    expect(store.divergence().failedRuns).toEqual([]);
  });

  test("accepts an idempotency key of a deleted run", async () => {
    const { store, secondary, primary, memory } = mirror();
    await store.createRun({ runId: "b", workflowId: "w", idempotencyKey: "key" });
    await store.drain();
    secondary.fault = gone;
    await store.createRun({ runId: "a", workflowId: "w" });
    await store.deleteRun("b");
    await store.deleteRun("a");
    await store.createRun({ runId: "a", workflowId: "w", idempotencyKey: "key" });
    secondary.fault = null;
    await store.drain();
    expect(store.divergence().failedRuns).toEqual([]);
    expect(await areEqual(primary, memory)).toBe(true);
  });

  test("releases an idempotency key gets the run that needs it before `drain` resolves", async () => {
    const { store, primary, memory } = mirror();
    await memory.createRun({ runId: "holder", workflowId: "w", idempotencyKey: "key" });
    await store.createRun({ runId: "a", workflowId: "w", idempotencyKey: "key" });
    await store.drain();
    expect(store.divergence().failedRuns).toMatchObject([{ runId: "a" }]);
    await store.deleteRun("holder");
    await store.drain();
    expect(store.divergence()).toMatchObject({ pendingChanges: 0, failedRuns: [] });
    expect(await areEqual(primary, memory)).toBe(true);
  });

  test("misses that a key has passed to a newer run gets both by one resync", async () => {
    const { store, primary, memory } = mirror();
    await passKey(primary, () => store.resync());
    await store.resync();
    expect(store.divergence()).toMatchObject({ pendingChanges: 0, failedRuns: [] });
    expect(await areEqual(primary, memory)).toBe(true);
  });

  test("does not acknowledge the probe run keeps none", async () => {
    const { store, secondary, primary, memory } = mirror();
    const run = { runId: "a", workflowId: "w", createdAt: new Date(0) };
    for (const each of [primary, memory]) await each.createRun(run);
    secondary.faultAfter = async () => {
      if (secondary.calls.at(-1) === "writeBundles") await gone();
    };
    await store.saveState("a", "k", 1);
    await expect(store.drain()).rejects.toMatchObject({ code: "STORE_CONNECTION" });
    secondary.faultAfter = null;
    // The next attempt need not write one: the secondary lacks the newest run.
    await store.createRun({ runId: "b", workflowId: "w" });
    await store.drain();
    expect(await areEqual(primary, memory)).toBe(true);
  });

  test("is far behind has its further changes counted, not kept", async () => {
    const { store, secondary, primary, memory } = mirror({ maxPendingRuns: 10 });
    secondary.fault = gone;
    await givenRuns(store, 50);
    const report = store.divergence();
    expect(report.pendingChanges).toBe(10);
    expect(report.missedChanges).toBeGreaterThan(0);
    secondary.fault = null;
    await store.drain();
    expect(await areEqual(primary, memory)).toBe(false);
    await store.switchOver();
    expect(await areEqual(primary, memory)).toBe(true);
  });
});

describe("no write fails because of", () => {
  test("a secondary that fails at random, before or after a write, and gets every run in the end", async () => {
    const { store, secondary, primary, memory } = mirror();
    let calls = 0;
    secondary.fault = async () => {
      if (++calls < 40 && calls % 3 === 0) await gone();
    };
    secondary.faultAfter = async () => {
      if (calls < 40 && calls % 4 === 0) await gone();
    };
    await writeEverything(store);
    while (store.divergence().pendingChanges > 0) await store.drain().catch(() => undefined);
    expect(calls).toBeGreaterThan(4);
    expect(store.divergence()).toMatchObject({ failedRuns: [], missedChanges: 0, lastError: null });
    expect(await areEqual(primary, memory)).toBe(true);
  });

  test("a listener that throws, or rejects later", async () => {
    for (const isLate of [false, true]) {
      let told = 0;
      const { store, secondary } = mirror({
        maxPendingRuns: 1,
        onDivergence: () => {
          told++;
          const error = new Error("of the listener");
          // Vitest fails if nobody handles it.
          if (isLate) return Promise.reject(error);
          throw error;
        },
      });
      secondary.fault = gone;
      await givenRuns(store, 10);
      expect(told).toBeGreaterThan(1);
      expect((await store.stats()).rows.workflowRuns).toBe(10);
      secondary.fault = null;
      await store.drain();
    }
  });
});

describe("a process that dies", () => {
  test.each([0, 1, 2, 3])(
    "leaves a divergence that a comparison finds, and that a resync cures: seed %i",
    async (seed) => {
      const random = randomNumbers(seed);
      const { store, secondary, primary, memory } = mirror({ retryDelayMs: 60_000 });
      let current = store;
      for (let round = 0; round < 12; round++) {
        const fault = random(3);
        secondary.fault = fault === 0 ? gone : null;
        secondary.faultAfter = fault === 1 ? gone : null;
        for (let write = 0; write < 8; write++) await writeSomething(current, random);
        if (random(2) === 0) await current.drain().catch(() => undefined);
        // The next one knows nothing of what this one had not brought over; this one does no more.
        secondary.fault = secondary.faultAfter = gone;
        current = new MirroredStore(primary, secondary.store, { retryDelayMs: 60_000 });
      }
      secondary.fault = secondary.faultAfter = null;
      const before = await compareStores(primary, memory, { maxDifferences: 1000 });
      expect(before.equal).toBe(
        isDeepStrictEqual(await allBundles(primary), await allBundles(memory)),
      );
      expect(await current.resync()).toEqual({ differing: before.differing });
      expect(await allBundles(memory)).toEqual(await allBundles(primary));
      expect(await current.resync()).toEqual({ differing: 0 });
    },
  );

  test("repairs what a copy with a comparison repairs, except for runs that only the copy has", async () => {
    const { store, secondary, primary, memory } = mirror();
    await givenRuns(store, 30);
    await store.drain();
    secondary.fault = gone;
    await store.saveState("run-000000", "late", 1);
    await store.deleteState("run-000005", "total");
    await store.createRun({ runId: "new", workflowId: "w" });
    await store.deleteRun("run-000010");
    await copyStore(primary, memory, { resume: "compare" });
    expect(await compareStores(primary, memory)).toMatchObject({
      differing: 1,
      differences: [{ runId: "run-000010", kind: "missing in the first" }],
    });
  });
});

test("a resync refuses a second one, and rejects for unreadable runs", async () => {
  const { store, primary } = mirror();
  await givenRuns(primary, 10);
  const first = store.resync();
  await expect(store.resync()).rejects.toMatchObject({ code: "SWITCH_OVER" });
  await expect(store.switchOver()).rejects.toMatchObject({ code: "SWITCH_OVER" });
  expect(await first).toEqual({ differing: 10 });
  await expect(store.resync({ signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
});

test("ctx.transaction fails before its function runs, though both stores have transactions of an app", async () => {
  const [a, b] = [folder.database("a.db"), folder.database("b.db")];
  const store = new MirroredStore(await openStore(a), await openStore(b));
  let called = 0;
  const step = defineStep({
    id: "pay",
    input: z.number(),
    output: z.number(),
    run: (n, ctx) =>
      ctx.transaction(() => {
        called++;
        return n;
      }),
  });
  const workflow = defineWorkflow({ id: "orders" }).step(step).build();
  const engine = new Engine(store);
  const run = await engine.run(workflow, 1);
  expect(run).toMatchObject({ status: "FAILED", error: { code: "UNSUPPORTED" } });
  expect(called).toBe(0);
  await expect(engine.start(workflow, 1, { tx: {} as AppTransaction })).rejects.toMatchObject({
    code: "UNSUPPORTED",
  });
  expect(hasHostTransactions(store)).toBe(false);
  await engine.close();
  await store.close();
});

describe("a switch-over", () => {
  test("is recorded when both stores are equal and no call is answered", async () => {
    const { store, primary, memory } = mirror();
    await givenRuns(primary, 20);
    let answered = false;
    let record: () => void = () => undefined;
    const recording = new Promise<void>((resolve) => {
      record = resolve;
    });
    const call = recording
      .then(() => store.createRun({ runId: "waiting", workflowId: "w" }))
      .then(() => (answered = true));
    const recorded: boolean[] = [];
    const { pausedMs } = await store.switchOver({
      maxPauseMs: 1000,
      recordSwitch: async () => {
        record();
        for (let turn = 0; turn < 20; turn++) await setImmediate();
        recorded.push(answered, await areEqual(primary, memory), store.answering === primary);
      },
    });
    expect(recorded).toEqual([false, true, true]);
    expect(pausedMs).toBeGreaterThan(0);
    await call;
    expect(await store.getRun("waiting")).toMatchObject({ workflowId: "w" });
    expect(await memory.getRun("waiting")).toMatchObject({ workflowId: "w" });
  });

  test("takes the arguments of calls that wait at once", async () => {
    const { store } = mirror();
    let record: () => void = () => undefined;
    let finish: () => void = () => undefined;
    const recording = new Promise<void>((resolve) => (record = resolve));
    const recorded = new Promise<void>((resolve) => (finish = resolve));
    const switching = store.switchOver({
      recordSwitch: () => {
        record();
        return recorded;
      },
    });
    await recording;
    const job = { runId: "", workflowId: "w", input: { items: [0], bytes: new Uint8Array(1) } };
    const calls = [1, 2].map((number) => {
      job.runId = `run-${number}`;
      job.input.items[0] = number;
      job.input.bytes[0] = number;
      return store.createRun(job);
    });
    let number = 3;
    const batch = store.batch((write) => {
      write.createRun({ runId: `run-${number}`, workflowId: "w", input: number });
      write.saveState(`run-${number}`, "k", number);
    });
    number = 4;
    const refused = [
      store.createRun({ workflowId: "w", input: new Map() }),
      store.createRun({ workflowId: "w", input: Array(2) }),
      store.batch(async () => {}),
      store.batch(() => {
        throw new Error("no batch");
      }),
    ];
    const outcomes = Promise.allSettled(refused);
    finish();
    await switching;
    const [first, second] = await Promise.all(calls);
    expect(first).toMatchObject({ runId: "run-1", input: { items: [1], bytes: Uint8Array.of(1) } });
    expect(second).toMatchObject({ runId: "run-2", input: { items: [2] } });
    await batch;
    expect(await store.getRun("run-3")).toMatchObject({ input: 3 });
    expect(await store.loadState("run-3", "k")).toBe(3);
    expect(await outcomes).toMatchObject([
      { reason: { code: "INVALID_VALUE" } },
      { reason: { code: "INVALID_VALUE" } },
      { reason: { code: "INVALID_ARGUMENT" } },
      { reason: { message: "no batch" } },
    ]);
    await store.close();
  });

  test("does not happen if it cannot be recorded, even after a long time", async () => {
    const { store, primary } = mirror();
    await givenRuns(primary, 5);
    const full = new Error("the disk is full");
    const options = {
      maxPauseMs: 1,
      recordSwitch: async () => {
        await new Promise((resolve) => setTimeout(resolve, 10));
        throw full;
      },
    };
    // With so short a pause it may not come to that at once.
    const outcome = async (): Promise<unknown> => {
      const error: unknown = await store.switchOver(options).catch((failure: unknown) => failure);
      return (error as { code?: unknown }).code === "SWITCH_OVER" ? outcome() : error;
    };
    expect(await outcome()).toBe(full);
    expect(store.answering).toBe(primary);
    await store.createRun({ workflowId: "w" });
    await store.switchOver();
    expect(store.answering).not.toBe(primary);
  });

  test("copies every difference, and then the secondary answers", async () => {
    const { store, primary, secondary, memory } = mirror();
    await givenRuns(primary, 500);
    await givenRuns(memory, 100);
    await memory.saveState("run-000007", "wrong", 1);
    await memory.deleteRun("run-000008");
    await memory.createRun({ runId: "only here", workflowId: "w" });
    expect(store.answering).toBe(primary);
    const report = await store.switchOver();
    expect(report.comparisons).toBeGreaterThanOrEqual(1);
    expect(store.answering).toBe(secondary.store);
    expect(await compareStores(primary, memory)).toMatchObject({ equal: true, runs: 500 });
    // The one that answered before follows, so that one can go back.
    await store.updateRun("run-000002", { progress: 0.7 });
    await store.drain();
    expect(await primary.getRun("run-000002")).toMatchObject({ progress: 0.7 });
    await store.switchOver();
    expect(store.answering).toBe(primary);
  });

  test("loses no concurrent write, and fails no call", async () => {
    const { store, primary, memory } = mirror();
    await givenRuns(primary, 300);
    let writing = true;
    let written = 0;
    const writers = [1, 2, 3].map(async (writer) => {
      while (writing) {
        // A store in memory answers at once: without a pause nothing else would have its turn.
        await setImmediate();
        await givenRun(store, 1000 * writer + written++);
        await store.saveState("run-000002", `writer-${writer}`, written);
        await store.transaction((tx) => tx.saveState("run-000003", `writer-${writer}`, written));
      }
    });
    await store.switchOver();
    writing = false;
    await Promise.all(writers);
    expect(written).toBeGreaterThan(0);
    await store.drain();
    expect(await compareStores(primary, memory)).toMatchObject({
      equal: true,
      runs: 300 + written,
    });
  });

  test("waits for a transaction under way, but not longer than `maxPauseMs`", async () => {
    const { store, primary } = mirror();
    await givenRuns(primary, 3);
    let end: () => void = () => undefined;
    const transaction = store.transaction(async (tx) => {
      await tx.saveState("run-000002", "k", 1);
      await expect(store.getRun("run-000002")).rejects.toMatchObject({ code: "UNSUPPORTED" });
      await new Promise<void>((resolve) => {
        end = resolve;
      });
    });
    await expect(store.switchOver({ maxPauseMs: 20 })).rejects.toMatchObject({
      code: "SWITCH_OVER",
      retryable: true,
    });
    expect(store.answering).toBe(primary);
    end();
    await transaction;
    await store.getRun("run-000002");
    await store.switchOver();
    expect(store.answering).not.toBe(primary);
  });

  test("does not happen if the secondary is unavailable or refuses a run", async () => {
    const { store, primary, secondary, memory } = mirror();
    await givenRuns(primary, 10);
    secondary.fault = gone;
    await expect(store.switchOver()).rejects.toMatchObject({ code: "STORE_CONNECTION" });
    secondary.fault = null;
    await memory.createRun({ runId: "foreign", workflowId: "refunds", idempotencyKey: "key-1" });
    secondary.fault = async () => {
      if (secondary.calls.at(-1) === "deleteRun") await gone();
    };
    await expect(store.switchOver()).rejects.toMatchObject({ code: "STORE_CONNECTION" });
    expect(store.answering).toBe(primary);
  });

  test("refuses a second one at the same time", async () => {
    const { store, primary } = mirror();
    await givenRuns(primary, 10);
    const first = store.switchOver();
    await expect(store.switchOver()).rejects.toMatchObject({ code: "SWITCH_OVER" });
    await first;
  });
});

test("closing copies pending changes and closes both stores", async () => {
  const { store, primary, secondary, memory } = mirror();
  await givenRun(store, 1);
  await store.close();
  expect(secondary.calls).toContain("writeBundles");
  await store.close();
  await expect(primary.stats()).rejects.toMatchObject({ code: "STORE_CLOSED" });
  await expect(memory.stats()).rejects.toMatchObject({ code: "STORE_CLOSED" });
  await expect(store.countRuns()).rejects.toMatchObject({ code: "STORE_CLOSED" });
});

test("closing does not wait for an unavailable secondary", async () => {
  const { store, secondary } = mirror({ retryDelayMs: 60_000 });
  secondary.fault = gone;
  await givenRun(store, 1);
  await store.close();
  expect(store.divergence().pendingChanges).toBe(1);
  await expect(store.drain()).rejects.toThrow();
  await store.close();
  await expect(store.countRuns()).rejects.toMatchObject({ code: "STORE_CLOSED" });
});

test("a mirror refuses unknown options", () => {
  const [a, b] = [new MemoryStore(), new MemoryStore()];
  expect(() => new MirroredStore(a, b, { maxPendingRuns: 0 })).toThrow(/options.maxPendingRuns/);
});
