import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { makeClock, makeEngine, makeGate, numberStep } from "./support/engines.ts";
import { databases, openStore, stores } from "./support/stores.ts";

let killing: string;
let paused: string;
beforeAll(async () => {
  [killing, paused] = (await Promise.all(
    ["killing-worker", "paused-worker"].map((name) =>
      compileProgram(`${import.meta.dirname}/programs/${name}.ts`),
    ),
  )) as [string, string];
});

const patience = { timeout: 30_000 };

test.each(databases)(
  "on %s, a run whose step ends the process fails after that many workers",
  async (_, makeUrl) => {
    const url = await makeUrl();
    const store = await openStore(url);
    const { runId } = await store.createRun({ workflowId: "w" });
    for (let lost = 0; lost < 3; lost++) {
      const worker = startProgram<{ finished?: string }>(killing, [url, "200"]);
      onTestFinished(() => worker.kill());
      expect(await worker.ended).toMatchObject({ signal: "SIGABRT" });
      expect(await store.getRun(runId)).toMatchObject({ status: "RUNNING", lostLeases: lost });
    }
    const last = startProgram<{ finished?: string }>(killing, [url, "200"]);
    onTestFinished(() => last.kill());
    expect(await last.message(({ finished }) => finished !== undefined)).toEqual({
      finished: "FAILED",
    });
    expect(await store.getRun(runId)).toMatchObject({
      status: "FAILED",
      lostLeases: 3,
      attempt: 4,
      error: { name: "RunAbandonedError", code: "RUN_ABANDONED" },
    });
    const steps = await store.listStepExecutions(runId);
    expect(steps.map(({ status }) => status).filter((status) => status === "RUNNING")).toEqual([]);
    expect(await store.reopenRun(runId)).toMatchObject({ status: "PENDING", lostLeases: 0 });
  },
);

interface Said {
  readonly began?: string;
  readonly ended?: string;
}

const isBegin = ({ began }: Said): boolean => began !== undefined;
const isEnd = ({ ended }: Said): boolean => ended !== undefined;

test.each(databases)(
  "on %s, the only worker keeps its runs over a pause that is longer than their lease",
  async (_, makeUrl) => {
    const url = await makeUrl();
    const store = await openStore(url);
    const runs = [];
    for (let n = 0; n < 3; n++) runs.push(await store.createRun({ workflowId: "w" }));
    const worker = startProgram<Said>(paused, [url, "only", "2000"]);
    onTestFinished(() => worker.kill());
    await expect.poll(() => worker.messages.filter(isBegin).length, patience).toBe(3);
    worker.process.kill("SIGSTOP");
    await sleep(4000);
    worker.process.kill("SIGCONT");
    await expect.poll(() => worker.messages.filter(isEnd).length, patience).toBe(3);
    for (const { runId } of runs) {
      await expect.poll(async () => (await store.getRun(runId)).status, patience).toBe("COMPLETED");
      expect(await store.getRun(runId)).toMatchObject({ attempt: 1, lostLeases: 0 });
    }
    expect(worker.messages.filter(isBegin)).toHaveLength(3);
  },
);

test.each(databases)(
  "on %s, a worker that is paused while another one of the same id takes its run changes nothing",
  async (_, makeUrl) => {
    const url = await makeUrl();
    const store = await openStore(url);
    const { runId } = await store.createRun({ workflowId: "w" });
    const start = () => {
      const worker = startProgram<Said>(paused, [url, "pod-0", "600"]);
      onTestFinished(() => worker.kill());
      return worker;
    };
    const first = start();
    await first.message(isBegin);
    // A process that is stopped during a commit keeps the lock of the file.
    await expect.poll(() => store.listStepExecutions(runId), patience).toHaveLength(1);
    first.process.kill("SIGSTOP");
    const second = start();
    await second.message(isBegin);
    first.process.kill("SIGCONT");
    expect(await first.message(isEnd)).toEqual({ ended: "LEASE_LOST" });
    expect(await second.message(isEnd)).toEqual({ ended: "well" });
    await expect.poll(async () => (await store.getRun(runId)).status, patience).toBe("COMPLETED");
    expect(await store.getRun(runId)).toMatchObject({ attempt: 2, lostLeases: 0 });
    expect(first.messages.filter(isBegin)).toHaveLength(1);
    expect(second.messages.filter(isBegin)).toHaveLength(1);
  },
);

describe.each(stores)("on %s", (_, open) => {
  test.each([-3_600_000, 3_600_000])(
    "a run goes on under its worker when the clock jumps by %i ms",
    async (jumpMs) => {
      const clock = makeClock();
      const store = await open(clock);
      const gate = makeGate();
      let calls = 0;
      const engine = makeEngine(store, { leaseMs: 400, clock });
      const workflow = defineWorkflow({ id: "w" })
        .step(
          numberStep("s", async (value) => {
            calls += 1;
            await gate.promise;
            return value + 1;
          }),
        )
        .build();
      engine.register(workflow);
      const runId = await engine.start(workflow, 1);
      const waiting = engine.wait(runId);
      await expect.poll(() => calls).toBe(1);
      clock.advance(jumpMs);
      await sleep(1000);
      // Another worker claims nothing of a live worker whose clock was set back.
      if (jumpMs < 0) {
        clock.advance(-jumpMs);
        const claimed = await store.claimRuns({ workerId: "other", leaseMs: 400, limit: 1 });
        expect(claimed).toEqual([]);
      }
      gate.open();
      expect(await waiting).toMatchObject({ status: "COMPLETED", attempt: 1, lostLeases: 0 });
      expect(calls).toBe(1);
    },
  );

  test("runs that lose too many leases fail, those with progress do not", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const step = numberStep("s", (value) => value + 1);
    const make = (id: string, maxLostLeases?: number) =>
      defineWorkflow({ id, maxLostLeases }).step(step).build();
    const workflows = [make("own", 2), make("engines"), make("fresh")];
    const starter = makeEngine(store, { clock });
    for (const workflow of workflows) await starter.start(workflow, 1);
    for (let lost = 0; lost < 3; lost++) {
      const limit = 10;
      await store.claimRuns({ workerId: `w${lost}`, leaseMs: 10, limit });
      clock.advance(10);
    }
    const { runs } = await store.listRuns();
    const fresh = runs.find(({ workflowId }) => workflowId === "fresh");
    await store.updateRun(fresh?.runId ?? "", { progress: 0.5 });
    const engine = makeEngine(store, { clock, maxLostLeases: 3 });
    for (const workflow of workflows) engine.register(workflow);
    await engine.recover();
    const ended = new Map(
      (await store.listRuns()).runs.map((run) => [run.workflowId, [run.status, run.lostLeases]]),
    );
    expect(Object.fromEntries(ended)).toEqual({
      own: ["FAILED", 3],
      engines: ["FAILED", 3],
      fresh: ["COMPLETED", 0],
    });
  });
});
