import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WakeUp } from "../../src/engine/worker/waits.ts";

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
