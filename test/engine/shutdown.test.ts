import { beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import type { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { compileProgram, startProgram, type Program } from "../support/child-processes.ts";
import { fileUrl, openStore } from "./support/stores.ts";

interface Said {
  readonly began: "first" | "second";
}

let program: string;
beforeAll(async () => {
  program = await compileProgram(`${import.meta.dirname}/programs/draining-worker.ts`);
});

let url: string;
let store: LibSQLStore;
beforeEach(async () => {
  url = await fileUrl();
  store = await openStore(url);
  await store.createRun({ runId: "run", workflowId: "w", input: 1 });
});

function startWorker(...args: string[]): Program<Said> {
  const worker = startProgram<Said>(program, [url, ...args]);
  onTestFinished(() => worker.kill());
  return worker;
}

const statusOf = async () => (await store.getRun("run")).status;
const patience = { timeout: 20_000 };
const began = (step: Said["began"]) => (said: Said) => said.began === step;

test("a worker that gets a signal lets its step end and leaves the rest to the next worker", async () => {
  const worker = startWorker("10000", "signal");
  await worker.message(began("first"));
  worker.process.kill("SIGTERM");
  expect(await worker.ended).toEqual({ code: 0, signal: null });
  expect(worker.messages).toEqual([{ began: "first" }]);
  expect(await store.getRun("run")).toMatchObject({
    status: "PENDING",
    workerId: null,
    leaseExpiresAt: null,
  });
  expect(await store.loadStepOutput("run", "first")).toBe(2);

  const next = startWorker("10000", "now");
  await next.message(began("second"));
  await expect.poll(statusOf, patience).toBe("COMPLETED");
  next.process.kill("SIGTERM");
  expect(await next.ended).toEqual({ code: 0, signal: null });
  expect(next.messages).toEqual([{ began: "second" }]);
  expect(await store.getRun("run")).toMatchObject({ output: 20, attempt: 2 });
});

test("the next worker restarts a step that did not end in time, without waiting for the lease", async () => {
  const worker = startWorker("50", "never");
  await worker.message(began("first"));
  worker.process.kill("SIGTERM");
  expect(await worker.ended).toEqual({ code: 0, signal: null });
  expect(await store.getRun("run")).toMatchObject({ status: "PENDING", workerId: null });
  const next = startWorker("10000", "now");
  await next.message(began("second"));
  await expect.poll(statusOf, patience).toBe("COMPLETED");
  expect(next.messages).toEqual([{ began: "first" }, { began: "second" }]);
});
