import { beforeAll, expect, onTestFinished, test } from "vitest";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { databases, fileUrl, openStore } from "./support/stores.ts";

let program: string;
beforeAll(async () => {
  program = await compileProgram(`${import.meta.dirname}/programs/waiting-worker.ts`);
});

interface Said {
  readonly runId: string;
  readonly what: "began" | "failed" | "went on";
  readonly at: Date;
}

function startWorker(
  url: string,
  workerId: string,
  { leaseMs, aheadMs }: { leaseMs: number; aheadMs: number },
) {
  const worker = startProgram<Said>(program, [url, workerId, String(leaseMs), String(aheadMs)]);
  onTestFinished(() => worker.kill());
  return worker;
}

const patience = { timeout: 30_000 };
const hour = 3_600_000;

test.each(databases)(
  "on %s, a sleep, a retry and a start are waited for to their stored times, though the worker was killed",
  async (_, makeUrl) => {
    const url = await makeUrl();
    const store = await openStore(url);
    const startAt = new Date(Date.now() + hour);
    await store.createRun({ runId: "sleeper", workflowId: "sleeper", input: hour });
    await store.createRun({ runId: "failing", workflowId: "failing", input: 1 });
    await store.createRun({ runId: "late", workflowId: "late", input: 1, wakeAt: startAt });
    const runIds = ["sleeper", "failing", "late"] as const;
    const wakeTimes = () =>
      Promise.all(
        runIds.map(async (runId) => {
          const { status, wakeAt } = await store.getRun(runId);
          return status === "PENDING" ? (wakeAt?.getTime() ?? 0) : 0;
        }),
      );

    const doomed = startWorker(url, "doomed", { leaseMs: 30_000, aheadMs: 0 });
    await doomed.message(({ runId }) => runId === "sleeper");
    await doomed.message(({ runId }) => runId === "failing");
    await expect.poll(async () => Math.min(...(await wakeTimes())), patience).toBeGreaterThan(0);
    const stored = await wakeTimes();
    expect(stored[2]).toBe(startAt.getTime());
    await doomed.kill();

    // This worker starts before the time, so that an early start or a restarted wait is noticed.
    const first = Math.min(...stored);
    const aheadMs = first - Date.now() - 2000;
    const heir = startWorker(url, "heir", { leaseMs: 30_000, aheadMs });
    const wentOn = await Promise.all(
      runIds.map((id) => heir.message(({ runId, what }) => runId === id && what === "went on")),
    );
    for (const [index, { at }] of wentOn.entries()) {
      expect(at.getTime()).toBeGreaterThanOrEqual(stored[index] ?? Infinity);
      // A restarted wait would take its whole hour.
      expect(at.getTime()).toBeLessThan((stored[index] ?? 0) + hour);
    }
    for (const runId of runIds) {
      await expect.poll(async () => (await store.getRun(runId)).status, patience).toBe("COMPLETED");
    }
    expect(await store.getStepExecution("sleeper", "sleeper")).toMatchObject({
      attempt: 1,
      sleepCount: 1,
    });
    expect(await store.getStepExecution("failing", "failing")).toMatchObject({ attempt: 2 });
    expect(heir.messages.filter(({ what }) => what === "failed")).toEqual([]);
  },
);

test("a short sleep ends on time after its worker was killed", async () => {
  const url = await fileUrl();
  const store = await openStore(url);
  const sleepMs = 3000;
  const leaseMs = 500;
  await store.createRun({ runId: "sleeper", workflowId: "sleeper", input: sleepMs });
  const doomed = startWorker(url, "doomed", { leaseMs, aheadMs: 0 });
  const wakeTime = async () =>
    (await store.listStepExecutions("sleeper"))[0]?.wakeAt?.getTime() ?? 0;
  await expect.poll(wakeTime, { ...patience, interval: 10 }).toBeGreaterThan(0);
  const stored = await wakeTime();
  expect(await store.getRun("sleeper")).toMatchObject({ status: "RUNNING", workerId: "doomed" });
  await doomed.kill();

  const heir = startWorker(url, "heir", { leaseMs, aheadMs: 0 });
  const { at } = await heir.message(({ what }) => what === "went on");
  expect(at.getTime()).toBeGreaterThanOrEqual(stored);
  await expect.poll(async () => (await store.getRun("sleeper")).status, patience).toBe("COMPLETED");
  expect(await store.getStepExecution("sleeper", "sleeper")).toMatchObject({ sleepCount: 1 });
  expect(await store.getRun("sleeper")).toMatchObject({ attempt: 2 });
  // The step restarts once, as after every sleep. A second sleep would have restarted it again.
  expect(heir.messages.map(({ what }) => what)).toEqual(["began", "went on"]);
});
