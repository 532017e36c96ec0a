import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Stopper } from "../../src/async/abort.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { EventEmitter } from "../../src/engine/observe/events.ts";
import { silentLogger } from "../../src/engine/observe/logger.ts";
import { waitForRun, WakeUp } from "../../src/engine/worker/waits.ts";
import { systemClock } from "../../src/store/clock.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { makeEngine, numberStep } from "./support/engines.ts";
import { observe } from "./support/observed-store.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a notification without a waiter ends only the next wait", async () => {
  const wakeUp = new WakeUp();
  wakeUp.notify();
  wakeUp.notify();
  expect(await wakeUp.wait(null)).toBe(true);
  const second = wakeUp.wait(10);
  await vi.advanceTimersByTimeAsync(10);
  expect(await second).toBe(false);
});

test("a notification ends the wait immediately", async () => {
  const wakeUp = new WakeUp();
  const waiting = wakeUp.wait(1000);
  wakeUp.notify();
  expect(await waiting).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

test("events of the run and aborts end a wait for it, and nothing does after its end", async () => {
  const events = new EventEmitter("w", systemClock, silentLogger);
  const run = { runId: "r", workflowId: "w", workflowVersion: "1", runAttempt: 1 };
  const signals = [new Stopper(), new Stopper()];
  const { wakeUp, end } = waitForRun(events, "r", ["run.left"], [undefined, ...signals]);
  const isWoken = async (): Promise<boolean> => {
    const waiting = wakeUp.wait(10);
    await vi.advanceTimersByTimeAsync(10);
    return waiting;
  };
  events.emit("run.left", "other", () => ({ ...run, reason: "lost" as const }));
  events.emit("run.started", "r", () => run);
  expect(await isWoken()).toBe(false);
  events.emit("run.left", "r", () => ({ ...run, reason: "lost" as const }));
  expect(await isWoken()).toBe(true);
  signals[0]?.abort();
  expect(await isWoken()).toBe(true);
  end();
  events.emit("run.left", "r", () => ({ ...run, reason: "lost" as const }));
  signals[1]?.abort();
  expect(await isWoken()).toBe(false);
});

test("a wait for a run ends immediately if a signal has aborted", async () => {
  const events = new EventEmitter("w", systemClock, silentLogger);
  const { wakeUp, end } = waitForRun(events, "r", [], [AbortSignal.abort()]);
  expect(await wakeUp.wait(null)).toBe(true);
  end();
});

test("a wait for an active run ends immediately if its signal aborted before the run was active", async () => {
  const aborter = new AbortController();
  const store = observe(new MemoryStore(), async (operation, carryOut) => {
    const result = await carryOut();
    if (operation === "claimRuns" && (result as unknown[]).length > 0) aborter.abort();
    return result;
  });
  const engine = makeEngine(store);
  const workflow = defineWorkflow({ id: "w" })
    .step(numberStep("hangs", () => new Promise(() => {})))
    .build();
  let error: unknown = null;
  engine.run(workflow, 1, { signal: aborter.signal }).catch((reason: unknown) => (error = reason));
  await vi.advanceTimersByTimeAsync(100);
  expect(error).toBe(aborter.signal.reason);
  vi.useRealTimers();
  await engine.close({ deadlineMs: 0 });
});
